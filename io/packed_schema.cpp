#include "io/packed_schema.hpp"

#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/json.hpp"
#include "runtime/settings.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

DataSchema parse_schema(const std::string& text, const std::string& path) {
  const SettingValue tree = parse_json(text, path + ": schema");
  require(std::holds_alternative<SettingValue::Table>(tree.value), Kind::corrupt_data,
          "{}: expected a schema that is a table", path);
  const auto problems = std::make_shared<SettingsReport>();
  Settings settings(tree, "schema", problems);
  DataSchema schema;
  schema.dense = settings.texts("dense");
  schema.features = settings.texts("features");
  schema.weighted = settings.flag("weighted", false);
  schema.weighted_features = settings.texts("weighted_features");
  schema.masked_features = settings.texts("masked_features");
  settings.finish();
  require(problems->messages.empty(), Kind::corrupt_data, "{}: {}", path,
          joined(problems->messages, "; "));
  return schema;
}

}  // namespace

std::string schema_text(const DataSchema& schema) {
  SettingValue::Table table{{"dense", value_of(schema.dense)},
                            {"features", value_of(schema.features)},
                            {"weighted", value_of(schema.weighted)}};
  if (!schema.weighted_features.empty()) {
    table.emplace_back("weighted_features", value_of(schema.weighted_features));
  }
  if (!schema.masked_features.empty()) {
    table.emplace_back("masked_features", value_of(schema.masked_features));
  }
  return json_text(value_of(std::move(table)));
}

void write_content(Hdf5File& file, const std::string& schema, const std::string& digest) {
  file.set_text("/", "format", kPackedFormat);
  file.set_integer("/", "version", kPackedVersion);
  file.set_text("/", "schema", schema);
  file.set_text("/", "digest", digest);
}

PackedContent read_content(const Hdf5File& file) {
  PackedContent content;
  const std::string format = file.text("/", "format");
  require(format == kPackedFormat, Kind::corrupt_data, "{}: expected a {} file: found \"{}\"",
          file.path(), kPackedFormat, shown(format));
  content.version = file.integer("/", "version");
  require(content.version == kPackedVersion || content.version == kUncheckedVersion,
          Kind::corrupt_data, "{}: expected version {} or {}: found {}", file.path(),
          kUncheckedVersion, kPackedVersion, content.version);
  require(content.version == kPackedVersion || !file.has("digests"), Kind::corrupt_data,
          "{}: expected no digests in a file of version {}: found some; the file is damaged",
          file.path(), kUncheckedVersion);
  content.schema_text = file.text("/", "schema");
  content.schema = parse_schema(content.schema_text, file.path());
  content.digest = content.version == kPackedVersion ? file.text("/", "digest") : "";
  return content;
}

}  // namespace keyshard
