// SCBench's Zh.QA: facts planted in a Chinese story that is made of our own sentences. For
// tokenizers that know Chinese; others spend more than a token on two bytes, and are refused.
#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

struct Pair {
  std::string_view statement, question;
  enum Kind : uint8_t { kPlace, kThing, kPerson, kNumber, kTrade } kind;
};
constexpr Pair kPairs[] = {
    {"晚饭以前，{name}把钱袋藏在{value}。", "{name}的钱放在什么地方？", Pair::kPlace},
    {"{name}小时候每年夏天都住在{value}。", "{name}童年在哪里过夏天？", Pair::kPlace},
    {"那天夜里，{name}独自走到{value}才停下。", "{name}夜里走到了哪里？", Pair::kPlace},
    {"{name}的旧信一直放在{value}。", "在哪里可以找到{name}写的信？", Pair::kPlace},
    {"火灾之中，{name}只救出了{value}。", "{name}从火里带出了什么？", Pair::kThing},
    {"{name}出门总要带上{value}。", "{name}随身带着什么？", Pair::kThing},
    {"生日那天，{name}收到了{value}。", "{name}得到了什么礼物？", Pair::kThing},
    {"{name}用一匹布换来了{value}。", "{name}拿布换了什么东西？", Pair::kThing},
    {"{name}从小由{value}抚养。", "谁把{name}养大？", Pair::kPerson},
    {"下棋的时候，{name}输给了{value}。", "谁在棋局中胜过{name}？", Pair::kPerson},
    {"{name}的画像出自{value}之手。", "谁画了{name}？", Pair::kPerson},
    {"{name}只相信{value}一个人。", "{name}唯一信任的人是谁？", Pair::kPerson},
    {"从家门到井边，{name}数了{value}步。", "按{name}所数，水井离家多少步？", Pair::kNumber},
    {"{name}的书架上有{value}本书。", "{name}的藏书有多少？", Pair::kNumber},
    {"{name}花了{value}文买下那座钟。", "那座钟花了{name}多少文？", Pair::kNumber},
    {"{name}走了{value}里路才到县城。", "{name}进城走了多少里？", Pair::kNumber},
    {"谁也没有想到，{name}做过{value}。", "{name}从前是做什么的？", Pair::kTrade},
    {"{name}一心想当{value}。", "{name}希望将来做什么？", Pair::kTrade},
    {"{name}租的房子楼下住着一位{value}。", "{name}楼下的人以何为业？", Pair::kTrade},
    {"{name}靠做{value}养活全家。", "{name}以什么谋生？", Pair::kTrade},
};
constexpr std::string_view kFamilies[] = {"赵", "钱", "孙", "李", "周", "吴", "郑", "王",
                                          "冯", "陈", "沈", "韩", "杨", "朱", "许", "何"};
constexpr std::string_view kGiven[] = {"明远", "秀英", "文轩", "玉兰", "志成", "春桃", "子安",
                                       "月如", "长青", "素梅", "伯言", "小莲", "景行", "云舒",
                                       "大川", "晓霜", "怀瑾", "若水", "天佑", "佩珊"};
constexpr std::string_view kPlaces[] = {"东山脚下", "石桥旁边", "老井后面", "柳树底下",
                                        "西厢房里", "磨坊门口", "竹林深处", "渡口边上",
                                        "祠堂后院", "茶馆楼上", "北门外面", "药铺柜中"};
constexpr std::string_view kThings[] = {"一把铜壶", "一面古镜", "一支竹笛", "一只木箱",
                                        "一盏油灯", "一幅山水", "一把雨伞", "一块玉佩",
                                        "一顶草帽", "一串念珠", "一方砚台", "一张旧琴"};
constexpr std::string_view kTrades[] = {"木匠", "铁匠", "郎中", "船夫", "裁缝", "账房",
                                        "猎户", "画师", "厨子", "渔夫", "石匠", "教书先生"};
constexpr std::string_view kWho[] = {"老人", "邻居", "掌柜", "书生", "孩子们",
                                     "货郎", "渔家", "母亲", "差役", "和尚"};
constexpr std::string_view kWhen[] = {"清晨",     "黄昏时分", "到了秋天", "第二天",
                                      "夜深以后", "过了几日", "雨停之后", "正午"};
constexpr std::string_view kDid[] = {
    "坐在门前不说话", "说起从前的日子", "望着远处的山",     "点起灯来读书", "到河边去洗衣",
    "把院子扫了一遍", "听着窗外的雨声", "同客人喝了一壶茶", "修好了旧篱笆", "慢慢走回村里"};

std::string pick(Words words, Random& random) { return std::string(random.pick(words)); }

std::string name(Random& random) {
  const std::string family = pick(kFamilies, random);
  return family + pick(kGiven, random);
}

std::string value(Pair::Kind kind, Random& random) {
  switch (kind) {
    case Pair::kPlace:
      return pick(kPlaces, random);
    case Pair::kThing:
      return pick(kThings, random);
    case Pair::kPerson:
      return name(random);
    case Pair::kNumber:
      return std::to_string(random.between(101, 999));
    case Pair::kTrade:
      return pick(kTrades, random);
  }
  return "";
}

std::string sentence(Random& random) {
  const std::string when = pick(kWhen, random), who = pick(kWho, random);
  if (random.below(2) == 0) return when + "，" + who + pick(kDid, random) + "。";
  const std::string did = pick(kDid, random), other = pick(kWho, random);
  return when + "，" + who + did + "，" + other + "却" + pick(kDid, random) + "。";
}

void require_chinese(const Draw& draw) {
  std::string sample;
  for (const std::string_view t : kDid) sample += t;
  const double bytes = double(sample.size()) / double(draw.meter->tokens(sample));
  if (bytes >= 2) return;
  throw unsupported("qa_chn", "the tokenizer spends a token on every {:.1f} bytes of Chinese",
                    bytes);
}

}  // namespace

Instance make_chinese_questions(const Draw& draw) {
  require_chinese(draw);
  Random facts = draw.facts(), haystack = draw.haystack();
  Unique names;
  Instance base;
  base.instruction = "请阅读下面的故事，然后用最少的字回答问题。";
  std::vector<Insert> inserts;
  for (size_t t = 0; t < draw.turns; ++t) {
    const Pair& pair = facts.pick(std::span(kPairs));
    Unique values;
    for (size_t other = 0; other < 3; ++other) {
      const std::string who = names.draw([&] { return name(facts); });
      const std::string what = values.draw([&] { return value(pair.kind, facts); });
      const auto slot = [&](std::string_view s) { return s == "name" ? who : what; };
      inserts.push_back({expand(pair.statement, slot), facts.unit(), {}});
      if (other > 0) continue;
      inserts.back().turns = {t};
      Turn& turn = base.turns.emplace_back();
      turn.input = "问题：" + expand(pair.question, slot);
      turn.answer_prefix = "回答：";
      turn.answers = {what};
    }
  }
  std::vector<std::string> sentences;
  return fit(draw, [&](size_t units, size_t) {
    while (sentences.size() < units) sentences.push_back(sentence(haystack));
    Instance out = base;
    weave(std::span(sentences).first(units), inserts, out);
    return out;
  });
}

}  // namespace fathom::eval
