#include "eval/task/words.h"

namespace fathom::eval {
namespace {

constexpr std::string_view kAdjectives[] = {
    "amber",    "ancient",  "bitter",  "blazing",  "bold",     "brass",   "bright",   "brittle",
    "broken",   "calm",     "careful", "clever",   "cloudy",   "coral",   "cosy",     "crimson",
    "crisp",    "curious",  "curly",   "daring",   "dark",     "dusty",   "eager",    "early",
    "eastern",  "emerald",  "empty",   "fancy",    "fearless", "fierce",  "flat",     "fluffy",
    "foggy",    "fragile",  "frozen",  "frugal",   "gentle",   "giant",   "gilded",   "gleaming",
    "golden",   "graceful", "grand",   "grassy",   "hardy",    "hazy",    "hidden",   "hollow",
    "honest",   "humble",   "icy",     "idle",     "iron",     "ivory",   "jagged",   "jolly",
    "keen",     "kind",     "lazy",    "leafy",    "light",    "little",  "lively",   "lonely",
    "loud",     "lucky",    "marble",  "mellow",   "merry",    "mighty",  "misty",    "modest",
    "mossy",    "muddy",    "narrow",  "neat",     "nimble",   "noble",   "northern", "oaken",
    "odd",      "olive",    "open",    "orange",   "pale",     "patient", "peaceful", "plain",
    "polite",   "proud",    "purple",  "quaint",   "quick",    "quiet",   "rapid",    "rare",
    "restless", "rocky",    "round",   "rugged",   "rustic",   "rusty",   "sandy",    "scarlet",
    "secret",   "serene",   "shady",   "sharp",    "shiny",    "silent",  "silken",   "silver",
    "simple",   "sleepy",   "slender", "slow",     "smooth",   "snowy",   "soft",     "solar",
    "solemn",   "southern", "spare",   "speckled", "spotted",  "steady",  "stern",    "still",
    "stony",    "stout",    "sturdy",  "sunny",    "swift",    "tall",    "tame",     "tender",
    "thorny",   "tidy",     "tiny",    "tranquil", "velvet",   "vivid",   "warm",     "weary",
    "western",  "wild",     "windy",   "winter",   "wise",     "wooden",  "young"};
constexpr std::string_view kNouns[] = {
    "acorn",      "anchor",  "anvil",     "apple",   "apron",    "arrow",    "badge",   "badger",
    "barge",      "barn",    "barrel",    "basin",   "basket",   "beacon",   "beaver",  "bell",
    "bench",      "berry",   "blanket",   "boat",    "bottle",   "boulder",  "bowl",    "branch",
    "brick",      "bridge",  "broom",     "brush",   "bucket",   "buckle",   "button",  "cabin",
    "cabinet",    "cactus",  "candle",    "cannon",  "canoe",    "canvas",   "canyon",  "carpet",
    "cart",       "castle",  "cellar",    "chain",   "chair",    "chalk",    "chapel",  "cherry",
    "chest",      "chimney", "church",    "cliff",   "cloak",    "clock",    "cloud",   "clover",
    "coach",      "coat",    "cobbler",   "comb",    "compass",  "copper",   "cottage", "cradle",
    "crane",      "crate",   "creek",     "crown",   "cup",      "curtain",  "dagger",  "daisy",
    "desert",     "desk",    "dial",      "ditch",   "dock",     "donkey",   "door",    "dove",
    "drawer",     "drum",    "eagle",     "easel",   "elbow",    "engine",   "fabric",  "falcon",
    "farm",       "feather", "fence",     "fern",    "fiddle",   "field",    "flag",    "flame",
    "flask",      "flute",   "forest",    "fork",    "fountain", "fox",      "garden",  "garlic",
    "gate",       "ginger",  "glacier",   "glove",   "goat",     "grain",    "grape",   "gravel",
    "hammer",     "harbor",  "harp",      "hatch",   "hazel",    "hedge",    "helmet",  "heron",
    "hill",       "hinge",   "honey",     "hook",    "horn",     "horse",    "island",  "jacket",
    "jar",        "jewel",   "kettle",    "key",     "kite",     "ladder",   "lagoon",  "lake",
    "lamp",       "lantern", "lark",      "lemon",   "lever",    "lily",     "lizard",  "locket",
    "loom",       "magnet",  "mantle",    "maple",   "market",   "mask",     "meadow",  "medal",
    "melon",      "mill",    "mirror",    "mitten",  "mortar",   "mountain", "mug",     "napkin",
    "needle",     "nest",    "oar",       "oasis",   "orchard",  "otter",    "oven",    "owl",
    "oyster",     "paddle",  "palace",    "parcel",  "parrot",   "path",     "pear",    "pebble",
    "pedal",      "pelican", "pencil",    "pepper",  "piano",    "pillar",   "pillow",  "pine",
    "pipe",       "pitcher", "plow",      "plum",    "pocket",   "pond",     "porch",   "pot",
    "prism",      "puzzle",  "quarry",    "quill",   "quilt",    "rabbit",   "raft",    "rake",
    "raven",      "reed",    "ribbon",    "ring",    "river",    "robin",    "rocket",  "roof",
    "rope",       "rose",    "rudder",    "saddle",  "sail",     "salmon",   "sandal",  "scarf",
    "scissors",   "shawl",   "shed",      "shell",   "shield",   "shore",    "shovel",  "shrine",
    "sickle",     "slate",   "sled",      "sleigh",  "sparrow",  "spindle",  "spoon",   "stable",
    "stage",      "statue",  "stool",     "stove",   "stream",   "sunset",   "table",   "tailor",
    "tambourine", "teapot",  "temple",    "thimble", "thistle",  "throne",   "tiger",   "timber",
    "toad",       "torch",   "tower",     "trail",   "trumpet",  "trunk",    "tulip",   "tunnel",
    "turtle",     "valley",  "vase",      "vessel",  "village",  "vine",     "violin",  "wagon",
    "walnut",     "watch",   "waterfall", "whale",   "wheel",    "whistle",  "willow",  "window",
    "wolf",       "yarn"};
constexpr std::string_view kFirstNames[] = {
    "Agnes",    "Albert",   "Alfred",  "Alice",     "Alma",      "Ambrose",   "Amelia",
    "Andrew",   "Anna",     "Anthony", "Arthur",    "Audrey",    "Basil",     "Beatrice",
    "Benedict", "Bernard",  "Bertha",  "Blanche",   "Bridget",   "Bruno",     "Caleb",
    "Camilla",  "Caroline", "Cecil",   "Cecily",    "Charles",   "Charlotte", "Clara",
    "Clarence", "Clement",  "Conrad",  "Constance", "Cora",      "Cornelius", "Cyril",
    "Daisy",    "Daniel",   "Daphne",  "David",     "Deborah",   "Dennis",    "Dora",
    "Doris",    "Dorothy",  "Duncan",  "Edgar",     "Edith",     "Edmund",    "Edna",
    "Edward",   "Edwin",    "Eleanor", "Elias",     "Eliza",     "Ellen",     "Elsie",
    "Emily",    "Emma",     "Enoch",   "Eric",      "Ernest",    "Esther",    "Ethel",
    "Eugene",   "Eunice",   "Evelyn",  "Ezra",      "Felix",     "Fiona",     "Flora",
    "Florence", "Francis",  "Frank",   "Frederick", "Gabriel",   "George",    "Gertrude",
    "Gilbert",  "Gladys",   "Godfrey", "Grace",     "Gregory",   "Hannah",    "Harold",
    "Harriet",  "Harvey",   "Hazel",   "Helen",     "Henrietta", "Henry",     "Herbert",
    "Hilda",    "Horace",   "Hubert",  "Hugh",      "Ida",       "Ignatius",  "Irene",
    "Iris",     "Isaac",    "Isabel",  "Ivan",      "Ivy",       "Jacob",     "James",
    "Jane",     "Jasper",   "Jean",    "Jerome",    "Joan",      "Josephine", "Joshua",
    "Julia",    "Julian",   "Juliet",  "Katherine", "Kenneth",   "Lavinia",   "Lawrence",
    "Leah",     "Leonard",  "Lettice", "Lewis",     "Lillian",   "Linus",     "Louisa",
    "Lucas",    "Lucy",     "Luther",  "Lydia",     "Mabel",     "Magnus",    "Malcolm",
    "Marcus",   "Margaret", "Marian",  "Marion",    "Martha",    "Martin",    "Matilda",
    "Maurice",  "Maxwell",  "Mildred", "Millicent", "Miriam",    "Morris",    "Muriel",
    "Nathan",   "Nellie",   "Nora",    "Norman",    "Octavia",   "Olive",     "Oliver",
    "Orson",    "Oscar",    "Oswald",  "Patience",  "Patrick",   "Paul",      "Pearl",
    "Percy",    "Peter",    "Philip",  "Phoebe",    "Priscilla", "Prudence",  "Rachel",
    "Ralph",    "Raymond",  "Rebecca", "Reuben",    "Richard",   "Robert",    "Roland",
    "Rosalind", "Rose",     "Rowland", "Rufus",     "Rupert",    "Ruth",      "Samuel",
    "Sarah",    "Selina",   "Silas",   "Simon",     "Solomon",   "Sophia",    "Stella",
    "Stephen",  "Susan",    "Sybil",   "Theodore",  "Thomas",    "Ursula",    "Verity",
    "Victor",   "Vincent",  "Viola",   "Violet",    "Walter",    "Wilfred",   "William",
    "Winifred"};
constexpr std::string_view kOccupations[] = {
    "baker",        "barber",   "brewer",      "bookbinder", "carpenter", "chemist", "clerk",
    "clockmaker",   "cobbler",  "cooper",      "dyer",       "ferryman",  "fiddler", "fisherman",
    "gardener",     "glazier",  "gunsmith",    "hatter",     "innkeeper", "joiner",  "lawyer",
    "locksmith",    "mason",    "midwife",     "miller",     "miner",     "notary",  "painter",
    "pilot",        "plumber",  "porter",      "potter",     "printer",   "saddler", "sailor",
    "schoolmaster", "shepherd", "stonecutter", "surgeon",    "surveyor",  "tailor",  "tanner",
    "thatcher",     "tinker",   "weaver"};
constexpr std::string_view kColours[] = {"red",   "blue",  "green", "yellow", "black",
                                         "white", "brown", "grey",  "violet", "orange"};
constexpr std::string_view kDays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                      "Friday", "Saturday", "Sunday"};
constexpr std::string_view kSurnameBegins[] = {
    "Alder", "Arden", "Ash",  "Barrow", "Black", "Brad",  "Brook", "Burn", "Carl", "Clay", "Cold",
    "Crans", "Dal",   "East", "Elling", "Farn",  "Field", "Green", "Hal",  "Hart", "Haw",  "Hay",
    "Hol",   "Kem",   "Lang", "Lin",    "Marl",  "Mel",   "North", "Oak",  "Pem",  "Pres", "Rad",
    "Rams",  "Red",   "Rock", "Row",    "Sher",  "Stan",  "Thorn", "Wake", "Whit", "Win",  "Wood"};
constexpr std::string_view kSurnameEnds[] = {"well", "ford", "man", "ley", "combe", "wright", "by"};
constexpr std::string_view kPlaceBegins[] = {"Ald",  "Bram", "Corr", "Dun",  "Eldr", "Fenn", "Glam",
                                             "Hest", "Ilk",  "Kirr", "Lorn", "Mere", "Nev",  "Ost",
                                             "Pell", "Quar", "Ryl",  "Sker", "Tarn", "Ulv"};
constexpr std::string_view kPlaceEnds[] = {"wick",    "holme", "garth", "mouth", "stow",
                                           "minster", "haven", "dale",  "sted",  "fell"};

constexpr std::string_view kOnsets[] = {"b",  "c",  "d",  "f",  "g",  "h",  "j",  "k",  "l",  "m",
                                        "n",  "p",  "r",  "s",  "t",  "v",  "w",  "br", "cl", "dr",
                                        "fl", "gr", "pl", "sk", "st", "tr", "th", "sh"};
constexpr std::string_view kVowels[] = {"a", "e", "i", "o", "u", "ai", "ea", "oo", "ou"};
constexpr std::string_view kCodas[] = {"",  "",  "b", "d", "ck", "l",  "m",  "n",
                                       "p", "r", "s", "t", "nd", "lk", "mp", "x"};
constexpr std::string_view kHex = "0123456789abcdef";

}  // namespace

Words adjectives() { return kAdjectives; }
Words nouns() { return kNouns; }
Words first_names() { return kFirstNames; }
Words occupations() { return kOccupations; }
Words colours() { return kColours; }
Words days() { return kDays; }

std::string surname(Random& random) {
  std::string out(random.pick(Words(kSurnameBegins)));
  out += random.pick(Words(kSurnameEnds));
  return out;
}

std::string place_name(Random& random) {
  std::string out(random.pick(Words(kPlaceBegins)));
  out += random.pick(Words(kPlaceEnds));
  return out;
}

std::string full_name(Random& random) {
  const std::string first(random.pick(first_names()));
  return first + " " + surname(random);
}

std::string thing(Random& random) {
  const std::string adjective(random.pick(adjectives()));
  return adjective + " " + std::string(random.pick(nouns()));
}

std::string invented_word(Random& random) {
  for (;;) {
    std::string out;
    for (size_t i = 2 + random.below(2); i > 0; --i) {
      out += random.pick(Words(kOnsets));
      out += random.pick(Words(kVowels));
    }
    out += random.pick(Words(kCodas));
    if (out.size() >= 4 && out.size() <= 9) return out;
  }
}

std::string digits(Random& random, size_t count) {
  std::string out = random.text("123456789", 1);
  return out + random.text("0123456789", count - 1);
}

std::string uuid(Random& random) {
  std::string out = random.text(kHex, 32);
  for (const size_t at : {20, 16, 12, 8}) out.insert(at, "-");
  return out;
}

std::string make_key(KeyKind kind, Random& random) {
  switch (kind) {
    case KeyKind::kNumber:
      return digits(random, 7);
    case KeyKind::kUuid:
      return uuid(random);
    case KeyKind::kWords:
      break;
  }
  std::string out(random.pick(adjectives()));
  out += "-";
  out += random.pick(nouns());
  return out;
}

std::string capitalized(std::string_view text) {
  std::string out(text);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 32);
  return out;
}

std::string expand(std::string_view pattern, FunctionRef<std::string(std::string_view)> fill) {
  std::string out;
  for (size_t i = 0; i < pattern.size();) {
    const char c = pattern[i];
    if ((c == '{' || c == '}') && i + 1 < pattern.size() && pattern[i + 1] == c) {
      out += c;
      i += 2;
    } else if (c == '{') {
      const size_t close = pattern.find('}', i);
      out += fill(pattern.substr(i + 1, close - i - 1));
      i = close + 1;
    } else {
      out += c;
      ++i;
    }
  }
  return out;
}

}  // namespace fathom::eval
