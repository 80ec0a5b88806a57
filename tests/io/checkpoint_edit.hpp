// Checkpoints that are changed on purpose and get the right digests again, as somebody would who
// wants them to be loaded.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/file_system.hpp"
#include "runtime/digest.hpp"

namespace keyshard::testing {

inline std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_all(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

/// The text of a manifest before its digest.
inline std::string body_of(const std::string& manifest) {
  return manifest.substr(0, manifest.rfind(",\n  \"digest\""));
}

/// A manifest of this body: by FORMATS.md, its digest is that of all bytes before it.
inline std::string sealed(const std::string& body) {
  return body + ",\n  \"digest\": \"" + digest_of(body.data(), body.size()).hex() + "\"\n}\n";
}

/// Replaces the first `from` of the manifest of a checkpoint.
inline void edit_manifest(const std::string& checkpoint, const std::string& from,
                          const std::string& to) {
  const std::string path = checkpoint + "/manifest.json";
  std::string body = body_of(read_all(path));
  const std::size_t place = body.find(from);
  ASSERT_NE(place, std::string::npos) << from;
  write_all(path, sealed(body.replace(place, from.size(), to)));
}

/// Writes a file of a checkpoint, with its size and digest in the manifest.
inline void replace_file(const std::string& checkpoint, const std::string& name,
                         const std::string& content) {
  write_all(checkpoint + "/" + name, content);
  LocalFileSystem files;
  ThreadPool threads(1);
  const auto bytes = static_cast<std::int64_t>(content.size());
  const Digest128 digest = file_digest(files, checkpoint + "/" + name, bytes, threads);
  const std::string begin = "{\"name\":\"" + name + "\",\"bytes\":";
  const std::string body = body_of(read_all(checkpoint + "/manifest.json"));
  const std::size_t from = body.find(begin), to = body.find('}', from);
  ASSERT_NE(from, std::string::npos) << name;
  edit_manifest(checkpoint, body.substr(from, to - from),
                begin + fmt::format("{},\"digest\":\"{}\"", bytes, digest.hex()));
}

/// Makes a checkpoint one of an earlier format: 1 or 2, which name no places, or 3.
inline void make_format(const std::string& checkpoint, int format) {
  const std::string path = checkpoint + "/manifest.json";
  std::string body = body_of(read_all(path));
  body.replace(body.find("\"format\": ") + 10, 1, std::to_string(format));
  for (std::size_t at; format < 3 && (at = body.find("\"offsets\":[")) != std::string::npos;) {
    body.erase(at, body.find("],", at) + 2 - at);
  }
  for (std::size_t at; format < 3 && (at = body.find("\"offset\":")) != std::string::npos;) {
    body.erase(at, body.find(',', at) + 1 - at);
  }
  write_all(path, sealed(body));
}

}  // namespace keyshard::testing
