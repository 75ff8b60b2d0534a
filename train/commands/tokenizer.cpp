#include "train/commands/tokenizer.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "data/dataset.h"
#include "framework/base/error.h"
#include "framework/base/interrupt.h"
#include "framework/base/io.h"
#include "train/commands/input.h"
#include "train/commands/open_model.h"
#include "train/trainer/signals.h"

namespace longhaul::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

constexpr const char* kFidelities[] = {"exact", "words", "lossy"};

std::string input_of(const TokenizerOptions& options, const std::string& given) {
  return options.file.empty() ? given : read_input(options.file);
}

Json describe(const data::Tokenizer& tokenizer) {
  const data::SpecialIds ids = tokenizer.special();
  const auto id = [](int32_t value) { return value < 0 ? Json(nullptr) : Json(value); };
  Json files = Json::array();
  for (const auto& [name, content] : tokenizer.files()) files.push_back({{"name", name}, {"bytes", content.size()}});
  return {{"kind", data::name_of(tokenizer.kind())},
          {"vocabulary", tokenizer.vocabulary_size()},
          {"fidelity", kFidelities[static_cast<int>(tokenizer.fidelity())]},
          {"special",
           {{"unknown", id(ids.unknown)},
            {"begin", id(ids.begin)},
            {"end", id(ids.end)},
            {"pad", id(ids.pad)},
            {"mask", id(ids.mask)}}},
          {"sha256", tokenizer.hash_hex()},
          {"files", files}};
}

std::string as_text(const data::Tokenizer& tokenizer) {
  const data::SpecialIds ids = tokenizer.special();
  std::string special;
  for (const auto& [name, id] : {std::pair{"unknown", ids.unknown},
                                 {"begin", ids.begin},
                                 {"end", ids.end},
                                 {"pad", ids.pad},
                                 {"mask", ids.mask}}) {
    if (id >= 0) special += fmt::format("{}{} {}", special.empty() ? "" : ", ", name, id);
  }
  const char* const meaning[] = {"exact: decoding gives the text back",
                                 "words: decoding gives words and lines back, not every blank",
                                 "lossy: the text is normalised"};
  return fmt::format("kind        {}\nvocabulary  {} ids\nspecial     {}\nfidelity    {}\nsha256      {}",
                     data::name_of(tokenizer.kind()), tokenizer.vocabulary_size(), special.empty() ? "none" : special,
                     meaning[static_cast<int>(tokenizer.fidelity())], tokenizer.hash_hex());
}

int train(const TokenizerOptions& options, Console& console) {
  check<ConfigError>(!options.out.empty(), "[tokenizer] train needs a folder to write\n  hint: --out FOLDER");
  const io::Path folder(options.out);
  check<ConfigError>(!io::exists(folder / "tokenizer.json"),
                     "[tokenizer] {} holds a tokenizer already\n  hint: give another folder, or delete it",
                     options.out);
  const train::SignalScope signals;
  const Interruptible training(train::stop_signal);
  data::TokenizerOptions make = options.make;
  make.path.clear();
  const auto tokenizer = data::train_tokenizer(make, data::corpus_text(options.data.entries(), {}));
  io::make_folders(folder);
  tokenizer->save(options.out);
  io::sync_folder(folder);
  if (options.json) {
    Json out = describe(*tokenizer);
    out["folder"] = options.out;
    console.result(dump(out));
  } else {
    console.result(as_text(*tokenizer) + "\nwritten to  " + options.out);
  }
  return 0;
}

int encode(const TokenizerOptions& options, Console& console) {
  const auto tokenizer = open_tokenizer(options.path);
  const std::string text = input_of(options, options.text);
  data::EncodedText encoded;
  tokenizer->encode_front(text, true, encoded);
  if (!options.json) {
    std::string out;
    for (const int32_t id : encoded.ids) out += fmt::format("{}{}", out.empty() ? "" : " ", id);
    console.result(out);
    return 0;
  }
  Json pieces = Json::array();
  for (const int32_t id : encoded.ids) pieces.push_back(tokenizer->piece(id));
  console.result(dump({{"ids", encoded.ids},
                       {"pieces", pieces},
                       {"tokens", encoded.ids.size()},
                       {"bytes", text.size()},
                       {"unknown", encoded.unknown}}));
  return 0;
}

std::vector<int32_t> ids_of(const std::string& text) {
  std::vector<int32_t> ids;
  constexpr const char* kBlanks = " \t\r\n,";
  for (size_t at = text.find_first_not_of(kBlanks); at != std::string::npos;) {
    const size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    int32_t id = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, id);
    check<DataError>(error == std::errc() && stop == text.data() + end,
                     "[tokenizer] \"{}\" is no id\n  hint: ids are whole numbers separated by blanks",
                     text.substr(at, std::min<size_t>(end - at, 40)));
    ids.push_back(id);
    at = text.find_first_not_of(kBlanks, end);
  }
  return ids;
}

int decode(const TokenizerOptions& options, Console& console) {
  const auto tokenizer = open_tokenizer(options.path);
  std::string given;
  for (const std::string& id : options.ids) given += id + " ";
  const std::vector<int32_t> ids = ids_of(input_of(options, given));
  const std::string text = tokenizer->decode(ids);
  if (options.json) {
    console.result(dump({{"text", text}, {"tokens", ids.size()}, {"bytes", text.size()}}));
  } else {
    console.stream(text);
  }
  return 0;
}

int info(const TokenizerOptions& options, Console& console) {
  const auto tokenizer = open_tokenizer(options.path);
  console.result(options.json ? dump(describe(*tokenizer)) : as_text(*tokenizer));
  return 0;
}

}  // namespace

int run_tokenizer(const TokenizerOptions& options, Console& console) {
  switch (options.action) {
    case TokenizerOptions::Action::kTrain:
      return train(options, console);
    case TokenizerOptions::Action::kEncode:
      return encode(options, console);
    case TokenizerOptions::Action::kDecode:
      return decode(options, console);
    case TokenizerOptions::Action::kInfo:
      return info(options, console);
  }
  return 0;
}

}  // namespace longhaul::cli
