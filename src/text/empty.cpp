namespace fathom {}
