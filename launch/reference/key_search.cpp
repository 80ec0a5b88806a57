#include "launch/reference/key_search.hpp"

#include <algorithm>
#include <deque>
#include <set>

#include "launch/toml_file.hpp"
#include "launch/training/job_config.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

constexpr const char* kColumn = "data.columns[0]";

/// Keys that are set beside those of the configuration that the search begins with.
using Assignments = std::vector<std::pair<std::string, std::string>>;  // path, TOML

/// The configuration with one column and one table.
SettingValue smallest_tree() {
  SettingValue column = value_of(SettingValue::Table{{"name", value_of(std::string("NAME"))}});
  SettingValue tree = value_of(SettingValue::Table{
      {"data", value_of(SettingValue::Table{
                   {"columns", value_of(SettingValue::Array{std::move(column)})}})}});
  set_value(tree, "config_version=1");
  set_value(tree, "tables.NAME={}");
  return tree;
}

/// Sets a key of the tree, or one of its column.
void assign(SettingValue& tree, const std::string& path, const std::string& toml) {
  const std::string column = std::string(kColumn) + ".";
  if (!path.starts_with(column)) {
    set_value(tree, path + "=" + toml);
    return;
  }
  auto& data =
      std::get<SettingValue::Table>(const_cast<SettingValue*>(member_of(tree, "data"))->value);
  auto& columns = std::get<SettingValue::Array>(data.front().second.value);
  set_value(columns.front(), path.substr(column.size()) + "=" + toml);
}

KeyQuestions questions_with(const Assignments& assignments) {
  SettingValue tree = smallest_tree();
  for (const auto& [path, toml] : assignments) {
    assign(tree, path, toml);
  }
  const auto report = std::make_shared<SettingsReport>();
  report->questions = std::make_shared<KeyQuestions>();
  Settings root(tree, "", report);
  read_sections(root, "");
  return std::move(*report->questions);
}

/// What of a question a reader of the reference sees.
std::string seen(const std::optional<KeyQuestion>& question) {
  return question && !question->type.empty() ? question->type + " " + json_text(question->otherwise)
                                             : "";
}

std::string table_of(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

class Search {
 public:
  FoundKeys run() {
    visit_with_examples({});
    while (!choices_.empty()) {
      const Choice choice = std::move(choices_.front());
      choices_.pop_front();
      try_words(choice);
    }
    name_types();
    return std::move(found_);
  }

 private:
  struct Choice {
    Assignments before;
    std::string path;
    std::vector<std::string> words;
  };

  bool is_read(const std::string& path) const {
    const auto found = found_.asked.keys.find(path);
    return found != found_.asked.keys.end() && !found->second.type.empty();
  }

  /// Reads with these assignments, and keeps what has not been asked before.
  KeyQuestions visit(const Assignments& assignments) {
    KeyQuestions asked = questions_with(assignments);
    for (const auto& [path, question] : asked.keys) {
      if (!is_read(path)) {
        found_.asked.keys[path] = question;
      }
      if (!question.legal.empty() && tried_.insert(path).second) {
        choices_.push_back({assignments, path, question.legal});
      }
    }
    for (const auto& described : asked.tables) {
      auto& all = found_.asked.tables;
      if (std::find(all.begin(), all.end(), described) == all.end()) {
        all.push_back(described);
      }
    }
    return asked;
  }

  /// Reads with these assignments, and again with each key of the tables there that nobody has read
  /// so far: of all tables, or where there is an assignment, of the table of the last one.
  KeyQuestions visit_with_examples(const Assignments& assignments) {
    KeyQuestions asked = visit(assignments);
    for (const auto& [path, table] : asked.tables) {
      const bool near = assignments.empty() || path == table_of(assignments.back().first);
      for (const KeyMeaning& key : table->keys) {
        const std::string whole = path + "." + std::string(key.key);
        if (near && !key.example.empty() && !is_read(whole)) {
          Assignments with = assignments;
          with.emplace_back(whole, key.example);
          visit(with);
          if (is_read(whole)) {
            found_.only_given.insert(whole);
          }
        }
      }
    }
    return asked;
  }

  /// Reads with every word of a choice, and notes which keys depend on it.
  void try_words(const Choice& choice) {
    std::vector<KeyQuestions> answers;
    std::set<std::string> paths;
    for (const std::string& word : choice.words) {
      Assignments with = choice.before;
      with.emplace_back(choice.path, json_text(value_of(word)));
      answers.push_back(visit_with_examples(with));
      for (const auto& [path, question] : answers.back().keys) {
        paths.insert(path);
      }
    }
    paths.erase(choice.path);
    for (const std::string& path : paths) {
      KeyVariation variation{choice.path, {}};
      bool varies = false;
      for (std::size_t w = 0; w < choice.words.size(); ++w) {
        const auto asked = answers[w].keys.find(path);
        variation.by_word.emplace_back(choice.words[w], asked == answers[w].keys.end()
                                                            ? std::nullopt
                                                            : std::optional(asked->second));
        varies |= seen(variation.by_word.back().second) != seen(variation.by_word.front().second);
      }
      if (varies) {
        found_.variations[path].push_back(std::move(variation));
      }
    }
  }

  /// A table that is a word by default has this word as its type, and one that is not has none.
  void name_types() {
    for (const auto& [path, question] : found_.asked.keys) {
      const auto type = found_.asked.keys.find(path + ".type");
      const bool typed = question.type == "table" && type != found_.asked.keys.end();
      if (typed && (as_text(question.otherwise) || as_text(type->second.otherwise) == "")) {
        type->second.otherwise = question.otherwise;
      }
    }
  }

  FoundKeys found_;
  std::deque<Choice> choices_;
  std::set<std::string> tried_;
};

}  // namespace

FoundKeys find_all_keys() { return Search().run(); }

}  // namespace keyshard
