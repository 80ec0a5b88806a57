#include "io/packed_schema.hpp"

#include <fmt/ranges.h>

#include "runtime/error.hpp"
#include "runtime/json.hpp"
#include "runtime/settings.hpp"

namespace keyshard {
void write_schema(Hdf5File& file, const DataSchema& schema) {
  file.set_text("/", "format", kPackedFormat);
  file.set_integer("/", "version", kPackedVersion);
  file.set_text("/", "schema",
                json_text(value_of(SettingValue::Table{{"dense", value_of(schema.dense)},
                                                       {"features", value_of(schema.features)},
                                                       {"weighted", value_of(schema.weighted)}})));
}

DataSchema read_schema(const Hdf5File& file) {
  const std::string format = file.text("/", "format");
  require(format == kPackedFormat, Kind::corrupt_data, "{}: expected a {} file: found \"{}\"",
          file.path(), kPackedFormat, format);
  const std::int64_t version = file.integer("/", "version");
  require(version == kPackedVersion, Kind::corrupt_data, "{}: expected version {}: found {}",
          file.path(), kPackedVersion, version);
  const SettingValue tree = parse_json(file.text("/", "schema"), file.path() + ": schema");
  require(std::holds_alternative<SettingValue::Table>(tree.value), Kind::corrupt_data,
          "{}: expected a schema that is a table", file.path());
  const auto problems = std::make_shared<SettingsReport>();
  Settings settings(tree, "schema", problems);
  DataSchema schema;
  schema.dense = settings.texts("dense");
  schema.features = settings.texts("features");
  schema.weighted = settings.flag("weighted", false);
  settings.finish();
  require(problems->messages.empty(), Kind::corrupt_data, "{}: {}", file.path(),
          fmt::join(problems->messages, "; "));
  return schema;
}

}  // namespace keyshard
