#include "launch/report/job_report.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "io/checkpoint_folder.hpp"
#include "launch/job_checkpoint.hpp"
#include "launch/output_file.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// The paths of all values inside a tree that is no table, and of tables without members.
void add_paths(const SettingValue& tree, const std::string& path, std::set<std::string>& paths) {
  if (const auto* table = std::get_if<SettingValue::Table>(&tree.value)) {
    for (const auto& [key, member] : *table) {
      add_paths(member, path.empty() ? key : fmt::format("{}.{}", path, key), paths);
    }
    return;
  }
  paths.insert(path);
  if (const auto* list = std::get_if<SettingValue::Array>(&tree.value)) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      add_paths((*list)[i], fmt::format("{}[{}]", path, i), paths);
    }
  }
}

void take_config(const Manifest& manifest, RunRecord& run) {
  const SettingValue* values = member_of(manifest.config, "values");
  const auto* table =
      values == nullptr ? nullptr : std::get_if<SettingValue::Table>(&values->value);
  run.config =
      table == nullptr ? ResolvedSettings() : ResolvedSettings(table->begin(), table->end());
  run.given.clear();
  if (const SettingValue* given = member_of(manifest.config, "given")) {
    add_paths(*given, "", run.given);
  }
}

CheckpointNote note_of(const Manifest& manifest) {
  CheckpointNote note;
  note.step = manifest.step;
  note.ranks = manifest.ranks;
  note.digest = manifest.state_digest().hex();
  for (const ManifestFile& file : manifest.files) {
    note.bytes += file.bytes;
  }
  for (const ManifestTable& table : manifest.tables) {
    note.rows.emplace_back(table.shape.name, table.rows_in({0, table.shards}));
  }
  return note;
}

void take_checkpoints(const std::string& holder, RunRecord& run) {
  LocalFileSystem files;
  for (const std::int64_t step : committed_steps(files, holder)) {
    try {
      const std::string path = holder + "/" + step_name(step);
      const Manifest manifest = manifest_of(path);
      const std::optional<BestStep> best = best_step_of(manifest, path);
      run.checkpoints.push_back(note_of(manifest));
      run.best_step = best ? std::optional(best->step) : std::nullopt;
      run.told_by = step;
      take_config(manifest, run);
    } catch (const Error& error) {
      CheckpointNote note;
      note.step = step;
      note.problem = error.text();
      run.checkpoints.push_back(std::move(note));
    }
  }
}

}  // namespace

std::string report_path(const std::string& folder) { return folder + "/report.html"; }

RunRecord read_run(const std::string& folder) {
  RunRecord run;
  run.history = read_history(folder);
  run.name = std::filesystem::absolute(folder + "/").lexically_normal().parent_path().string();
  try {
    take_checkpoints(checkpoint_folder(folder), run);
  } catch (const Error& error) {
    run.notes.push_back(error.text());
  }
  return run;
}

void write_report(const std::string& folder, const std::string& path) {
  OutputFile file(path, {folder + "/metrics.jsonl", folder + "/log.txt"});
  file.finish(html_of(read_run(folder)));
}

}  // namespace keyshard
