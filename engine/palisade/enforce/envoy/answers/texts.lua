-- What scripts make texts of others by, as the builtins of Rego do. All of it is about bytes.

local lower, upper = string.lower, string.upper

local function from(text, mark, at)
  local begin = 1
  while at ~= 0 do
    local first, last = string.find(text, mark, begin, true)
    if not first then
      break
    end
    begin, at = last + 1, at - 1
  end
  return begin
end

local function has_piece(text, mark, at)
  local begin = 1
  for _ = 1, at do
    local _, last = string.find(text, mark, begin, true)
    if not last then
      return false
    end
    begin = last + 1
  end
  return true
end

local function picked(members, make)
  local found = {}
  for _, each in ipairs(members) do
    found[#found + 1] = make(each) or nil
  end
  return found
end

local function around(text, before, behind)
  return before .. text .. behind
end

local function rest(text, mark, at)
  return string.sub(text, from(text, mark, at))
end

local function piece(text, mark, at)
  local left = rest(text, mark, at)
  local first = string.find(left, mark, 1, true)
  return first and string.sub(left, 1, first - 1) or left
end

local function trim_prefix(text, affix)
  return string.sub(text, 1, #affix) == affix and string.sub(text, #affix + 1) or text
end

local function trim_suffix(text, affix)
  return string.sub(text, -#affix) == affix and string.sub(text, 1, -#affix - 1) or text
end

local function is_in(text, at, cutset)
  return string.find(cutset, string.sub(text, at, at), 1, true)
end

local function trim_left(text, cutset)
  local first = 1
  while first <= #text and is_in(text, first, cutset) do
    first = first + 1
  end
  return string.sub(text, first)
end

local function trim_right(text, cutset)
  local last = #text
  while last > 0 and is_in(text, last, cutset) do
    last = last - 1
  end
  return string.sub(text, 1, last)
end

local function trim(text, cutset)
  return trim_left(trim_right(text, cutset), cutset)
end

local function trim_space(text)
  return trim(text, "\t\n\v\f\r ")
end

local function replace(text, old, new)
  local parts, begin = {}, 1
  while true do
    local first, last = string.find(text, old, begin, true)
    parts[#parts + 1] = string.sub(text, begin, first and first - 1)
    if not first then
      return table.concat(parts, new)
    end
    begin = last + 1
  end
end

local function substring(text, start, length)
  return string.sub(text, start + 1, length and start + length)
end

local function encode(text)
  return (string.gsub(text, "[^A-Za-z0-9_.~-]", function(char)
    return char == " " and "+" or string.format("%%%02X", string.byte(char))
  end))
end

local function parameter(target, name)
  for pair in string.gmatch(string.match(target, "%?(.*)"), "[^&]+") do
    if string.sub(pair, 1, #name + 1) == name .. "=" then
      return string.sub(pair, #name + 2)
    end
  end
end

local function of_url(text)
  return replace(replace(text, "+", "-"), "/", "_")
end

local function hex(text)
  return (string.gsub(text, ".", function(char)
    return string.format("%02x", string.byte(char))
  end))
end

local function written(claim, laid)
  return type(claim) == "string" and '"' .. claim .. '"' or laid
end

-- Of what has neither null nor anything empty, but the object itself may have no entry left.
local function json(value, names, among)
  if type(value) == "number" then
    return string.format("%.15g", value)
  elseif type(value) ~= "table" then
    return type(value) == "string" and '"' .. value .. '"' or tostring(value)
  end
  local found, keys = {}, {}
  for _, each in ipairs(value) do
    found[#found + 1] = json(each)
  end
  if #found > 0 then
    return "[" .. table.concat(found, ",") .. "]"
  end
  for key in pairs(value) do
    if not names or (names[key] or false) == among then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys)
  for at, key in ipairs(keys) do
    found[at] = '"' .. key .. '":' .. json(value[key])
  end
  return "{" .. table.concat(found, ",") .. "}"
end

local function members(value, ...)
  for _, key in ipairs({...}) do
    value = type(value) == "table" and value[key] or nil
  end
  return type(value) == "table" and value or {}
end

local function all(...)
  local found = {}
  for _, some in ipairs({...}) do
    for _, each in ipairs(some) do
      found[#found + 1] = each
    end
  end
  return found
end

local function listed(texts)
  local found = {}
  for at, each in ipairs(texts) do
    found[at] = '"' .. each .. '"'
  end
  return "[" .. table.concat(found, ",") .. "]"
end
