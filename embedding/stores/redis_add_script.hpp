// The program in Lua that a Redis server runs to write rows by increment. It computes what
// merge_record (store.hpp) computes, bit for bit.
#pragma once

namespace keyshard {

/// For keys of one hash, KEYS[1]: the four cases of an update by increment. ARGV: floats of a
/// record, rule of the status (0 none, 1 higher, 2 add), type of the values as RecordValues has it
/// and their number, number of limits, then offset, dim and max_norm of each, then field, record
/// before ("" for none) and record after of each key. Sums are rounded where a processor rounds
/// them: `narrow` and `widen` are those of short_floats.hpp, and the squares of a row are added as
/// in strided_sum (team.hpp). Returns how many were dropped.
inline constexpr const char* kRedisAddScript = R"(
local floats, rule, dropped = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
local kind, count, limits = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local size = ({[0] = 4, 2, 2, 8, 1, 4, 8})[kind]
local first, double = math.ceil(count * size / 4), kind == 3
local function single(x) return (struct.unpack('<f', struct.pack('<f', x))) end
local function rounded(x) return double and x or single(x) end
local function widen(record, at)
  if kind == 2 then return (struct.unpack('<f', '\0\0' .. record:sub(at, at + 1))) end
  local half = struct.unpack('<I2', record, at)
  local sign = half >= 32768 and -1 or 1
  local e, f = math.floor(half / 1024) % 32, half % 1024
  if e == 0 then return sign * math.ldexp(f, -24) end
  if e == 31 then return f == 0 and sign * math.huge or 0 / 0 end
  return sign * math.ldexp(1024 + f, e - 25)
end
local function to_even(x)
  local n = math.floor(x)
  local rest = x - n
  return (rest > 0.5 or (rest == 0.5 and n % 2 == 1)) and n + 1 or n
end
local function narrow(x)
  local bits = struct.unpack('<I4', struct.pack('<f', x))
  local upper = math.floor(bits / 65536)
  if kind == 2 then
    if x ~= x then
      return struct.pack('<I2', math.floor(upper / 64) % 2 == 1 and upper or upper + 64)
    end
    return struct.pack('<I2', math.floor((bits + 32767 + upper % 2) / 65536))
  end
  local sign, size, half = bits >= 2147483648 and 32768 or 0, math.abs(x), 31744
  if x ~= x then
    local f = math.floor(bits / 8192) % 1024
    half = 31744 + (f < 512 and f + 512 or f)
  elseif size < 2 ^ -14 then
    half = to_even(size * 2 ^ 24)
  elseif size < 65520 then
    local m, e = math.frexp(size)
    half = (e + 14) * 1024 + to_even((2 * m - 1) * 1024)
  end
  return struct.pack('<I2', sign + half)
end
local form = double and '<d' or '<f'
local function value(record, i)
  if size == 2 then return widen(record, 2 * i + 1) end
  return (struct.unpack(form, record, size * i + 1))
end
local function clip(v, from, dim, most)
  local part, held = {}, 32
  for p = 0, 31 do part[p] = 0 end
  for d = 0, dim - 1 do part[d % 32] = part[d % 32] + v[from + d] * v[from + d] end
  while held > 1 do
    held = held / 2
    for p = 0, held - 1 do part[p] = part[p] + part[p + held] end
  end
  local within = most * (1 + (double and 2 ^ -40 or 2 ^ -23))
  if part[0] > within * within then
    local factor = most / math.sqrt(part[0])
    for d = from, from + dim - 1 do v[d] = rounded(v[d] * factor) end
  end
end
local function add_floats(out, now, before, after)
  local v = {}
  for i = 0, count - 1 do
    v[i] = rounded(value(now, i) + rounded(value(after, i) - value(before, i)))
  end
  for l = 1, limits do
    local at = 3 + 3 * l
    clip(v, tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
  end
  for i = 0, count - 1 do
    out[#out + 1] = size == 2 and narrow(v[i]) or struct.pack(form, v[i])
  end
end
local function add_integers(out, now, before, after)
  for i = 0, count - 1 do
    local carry = 0
    for at = size * i + 1, size * i + size do
      local sum = now:byte(at) + after:byte(at) - before:byte(at) + carry
      out[#out + 1] = string.char(sum % 256)
      carry = math.floor(sum / 256)
    end
  end
end
local function merged(now, before, after)
  local out = {}
  if kind > 3 then add_integers(out, now, before, after)
  else add_floats(out, now, before, after) end
  out[#out + 1] = now:sub(size * count + 1, 4 * first)
  for at = 4 * first + 1, 4 * floats, double and 8 or 4 do
    local delta = rounded(struct.unpack(form, after, at) - struct.unpack(form, before, at))
    out[#out + 1] = struct.pack(form, struct.unpack(form, now, at) + delta)
  end
  if rule > 0 then
    local at = 4 * floats + 1
    local a, b = struct.unpack('<I4', after, at), struct.unpack('<I4', before, at)
    local n = struct.unpack('<I4', now, at)
    local to = math.max(n, a)
    if rule == 2 then to = math.min(n + math.max(a - b, 0), 4294967295) end
    out[#out + 1] = struct.pack('<I4', to)
  end
  return table.concat(out)
end
for i = 6 + 3 * limits, #ARGV, 3 do
  local field, before, after = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local now = redis.call('HGET', KEYS[1], field)
  if before == '' then
    if now then dropped = dropped + 1 else redis.call('HSET', KEYS[1], field, after) end
  elseif not now then
    dropped = dropped + 1
  elseif now == before then
    redis.call('HSET', KEYS[1], field, after)
  else
    redis.call('HSET', KEYS[1], field, merged(now, before, after))
  end
end
return dropped)";

}  // namespace keyshard
