-- Reads JSON and forms as the engine does, or not at all: what it is not sure to read in the same way it leaves
-- to the engine, by laying down nothing. It is given MARK, and WANTED: a tree for each document of the fields
-- that the policy reads, each under a name. The documents are parsed_body (`parsed`), the body as JSON whatever its type
-- says (`json`), its text (`text`), and those in headers (`texts`). For each field it lays down in the metadata
-- what kind of value it is (k), the value, of arrays their members that are texts, numbers or booleans (v), and
-- how many members or characters it has (n). What builtins make of a text is laid down beside it.

local DEPTH = 64
local DIGITS = 15 -- so many significant digits make each number a double of its own
local LONGEST, EXPONENT = 300, 4 -- a number of more characters may be out of the engine's range
local MEMBERS = 256 -- of a wanted array: each rule on single members looks at all of them
local TAKEN = 29999 -- bytes of texts that are taken out of one body: these cost most, here and in rules

local byte, char, find, gmatch, gsub = string.byte, string.char, string.find, string.gmatch, string.gsub
local match, sub, concat, format = string.match, string.sub, table.concat, string.format

local ESCAPES = {
  [34] = '"', [47] = "/", [92] = "\\", [98] = "\b", [102] = "\f", [110] = "\n", [114] = "\r", [116] = "\t",
}

local MAKES = {} -- texts of texts, by the builtin; in body.lua
local join -- the members of an array to one text, by a code; in body.lua

local found, taken -- of the body at hand
local value

local function leave()
  error("for the engine", 0)
end

local function take(size)
  taken = taken + size
  if taken > TAKEN then
    leave()
  end
end

local function follows(mark, low, high)
  if not mark or mark < low or mark > high then
    leave()
  end
end

-- Where the character beyond ASCII that begins at a place in a text ends.
local function beyond(s, at, lead)
  if lead < 0xC2 or lead > 0xF4 then
    leave()
  elseif lead < 0xE0 then
    follows(byte(s, at + 1), 0x80, 0xBF)
    return at + 2
  elseif lead < 0xF0 then
    follows(byte(s, at + 1), lead == 0xE0 and 0xA0 or 0x80, lead == 0xED and 0x9F or 0xBF)
    follows(byte(s, at + 2), 0x80, 0xBF)
    return at + 3
  end
  follows(byte(s, at + 1), lead == 0xF0 and 0x90 or 0x80, lead == 0xF4 and 0x8F or 0xBF)
  follows(byte(s, at + 2), 0x80, 0xBF)
  follows(byte(s, at + 3), 0x80, 0xBF)
  return at + 4
end

local function encoded(code)
  if code == 0 or (code >= 0xD800 and code < 0xE000) then
    leave() -- Envoy would end the text there; halves of pairs are read in several ways
  elseif code < 0x80 then
    return char(code)
  elseif code < 0x800 then
    return char(0xC0 + (code - code % 64) / 64, 0x80 + code % 64)
  end
  local high = (code - code % 4096) / 4096
  local middle = (code % 4096 - code % 64) / 64
  return char(0xE0 + high, 0x80 + middle, 0x80 + code % 64)
end

-- The first place, from one on, that is no space, and what stands there. Loops that hardly ever turn keep
-- LuaJIT from compiling those around them, so they are behind a test here and below.
local function visible(s, at)
  local mark = byte(s, at) or leave()
  if mark > 32 then
    return at, mark
  end
  while mark == 32 or mark == 10 or mark == 13 or mark == 9 do
    at = at + 1
    mark = byte(s, at) or leave()
  end
  return at, mark
end

-- From an opening quote: where it goes on behind the text, and if it is wanted the text.
local function text(s, at, wanted)
  local pieces
  local from = at + 1
  local here = from
  while true do
    local mark = byte(s, here) or leave()
    if mark >= 128 then
      here = beyond(s, here, mark)
    elseif mark == 34 then
      if not wanted then
        return here + 1
      end
      take(here - from)
      local last = sub(s, from, here - 1)
      if pieces then
        pieces[#pieces + 1] = last
        last = concat(pieces)
      end
      return here + 1, last
    elseif mark == 92 then
      local escape = byte(s, here + 1)
      local behind = here + 2
      if escape == 117 then
        behind = match(s, "^%x%x%x%x()", behind) or leave()
      elseif not ESCAPES[escape] then
        leave()
      end
      if wanted then
        take(behind - from)
        pieces = pieces or {}
        pieces[#pieces + 1] = sub(s, from, here - 1)
        pieces[#pieces + 1] = ESCAPES[escape] or encoded(tonumber(sub(s, here + 2, here + 5), 16))
        from = behind
      end
      here = behind
    elseif mark < 32 then
      leave()
    else
      here = here + 1
    end
  end
end

local function is_digit(mark)
  return mark and mark >= 48 and mark <= 57
end

-- The place behind the digits that begin at one; there must be one at least.
local function digits(s, at)
  if not is_digit(byte(s, at)) then
    leave()
  end
  at = at + 1
  if is_digit(byte(s, at)) then
    repeat
      at = at + 1
    until not is_digit(byte(s, at))
  end
  return at
end

local function number(s, at, wanted)
  local first = byte(s, at) == 45 and at + 1 or at
  local behind = digits(s, first)
  local count = behind - first
  if count > 1 and byte(s, first) == 48 then
    leave()
  end
  if byte(s, behind) == 46 then
    local point = behind
    behind = digits(s, point + 1)
    count = count + behind - point - 1
  end
  if behind - at > LONGEST then
    leave()
  end
  local mark = byte(s, behind)
  if mark == 101 or mark == 69 then
    local sign = byte(s, behind + 1)
    local exponent = digits(s, (sign == 43 or sign == 45) and behind + 2 or behind + 1)
    if wanted or exponent - behind > EXPONENT then
      leave()
    end
    return exponent
  end
  if not wanted then
    return behind
  end
  local written = sub(s, at, behind - 1)
  if count > DIGITS or find(written, "^%-[0.]*$") then
    leave()
  end
  return behind, tonumber(written)
end

local function lay(node, kind, content, count)
  if node and node.name then
    found["k" .. node.name] = kind
    found["v" .. node.name] = content
    found["n" .. node.name] = count
  end
  if node and node.made and kind == "string" then
    for builtin, below in pairs(node.made) do
      if MAKES[builtin] then
        local made = MAKES[builtin](content)
        if made then
          lay(below, "string", made, #made) -- of ASCII, so that bytes are characters
        end
      end
    end
  end
end

-- Whether a text is joined of the members that a loop finds, which finds those of objects, too.
local function of_loop(builtin)
  return find(builtin, "^join%u")
end

-- The texts that the members of an array are joined to; there are none where a member is no text.
local function joined(node, members, count)
  for builtin, below in pairs(node and node.made or {}) do
    if not MAKES[builtin] then
      local texts = #members == count
      for _, each in ipairs(members) do
        texts = texts and type(each) == "string"
      end
      if texts then
        local made = join(builtin, members)
        take(#made)
        local _, size = gsub(made, "[^\128-\191]", "")
        lay(below, "string", made, size)
      else
        lay(below, "missing")
      end
    end
  end
end

local function no_members_of(node)
  for builtin in pairs(node and node.made or {}) do
    if of_loop(builtin) then
      leave()
    end
  end
end

local function object(s, at, node, depth)
  local seen = node and {}
  local count = 0
  local mark
  no_members_of(node)
  at, mark = visible(s, at + 1)
  if mark == 125 then
    lay(node, "object", nil, 0)
    return at + 1
  end
  while true do
    if mark ~= 34 then
      leave()
    end
    local key
    at, key = text(s, at, node)
    if node then
      if seen[key] then
        leave() -- the last one counts, and what was laid down of the first is still there
      end
      seen[key] = true
      count = count + 1
    end
    at, mark = visible(s, at)
    if mark ~= 58 then
      leave()
    end
    at, mark = visible(s, (value(s, at + 1, node and node.keys and node.keys[key], depth)))
    if mark == 125 then
      lay(node, "object", nil, count)
      return at + 1
    elseif mark ~= 44 then
      leave()
    end
    at, mark = visible(s, at + 1)
  end
end

local function array(s, at, node, depth)
  local members = node and node.name and {}
  local starts = node and node.back and {}
  local count = 0
  local mark
  at, mark = visible(s, at + 1)
  if mark == 93 then
    lay(node, "array", nil, 0)
    joined(node, {}, 0)
    return at + 1
  end
  while true do
    local member
    if starts then
      starts[count + 1] = at
    end
    at, member = value(s, at, node and node.items and node.items[count], depth, members)
    if members and member ~= nil then
      if #members == MEMBERS then
        leave()
      end
      members[#members + 1] = member
    end
    count = count + 1
    at, mark = visible(s, at)
    if mark == 93 then
      lay(node, "array", members and #members > 0 and members or nil, count)
      joined(node, members, count)
      for back, below in pairs(starts and node.back or {}) do
        if starts[count + 1 - back] then
          value(s, starts[count + 1 - back], below, depth)
        end
      end
      return at + 1
    elseif mark ~= 44 then
      leave()
    end
    at = at + 1
  end
end

-- From anywhere before a value: where it goes on behind it, and what it is, where that is wanted.
value = function(s, at, node, depth, wanted)
  wanted = wanted or (node and node.name)
  local mark
  at, mark = visible(s, at)
  if mark == 34 then
    local behind, content = text(s, at, wanted)
    if node and node.name then
      local _, count = gsub(content, "[^\128-\191]", "")
      lay(node, "string", content, count)
    end
    return behind, content
  elseif mark == 123 or mark == 91 then
    if depth == DEPTH then
      leave()
    end
    return (mark == 123 and object or array)(s, at, node, depth + 1)
  elseif mark == 116 and sub(s, at, at + 3) == "true" then
    lay(node, "boolean", true)
    return at + 4, true
  elseif mark == 102 and sub(s, at, at + 4) == "false" then
    lay(node, "boolean", false)
    return at + 5, false
  elseif mark == 110 and sub(s, at, at + 3) == "null" then
    lay(node, "null")
    return at + 4
  end
  local behind, content = number(s, at, wanted)
  lay(node, "number", content)
  return behind, content
end

local function clear(node)
  if node.name then
    found["k" .. node.name] = "missing"
  end
  for _, below in pairs({ node.keys or {}, node.items or {}, node.back or {}, node.made or {} }) do
    for _, each in pairs(below) do
      clear(each)
    end
  end
  for builtin, below in pairs(node.made or {}) do
    if of_loop(builtin) then
      lay(below, "string", "", 0) -- a loop over what is no collection finds nothing
    end
  end
end

-- All of a text as one value.
local function whole(s, tree)
  local behind = value(s, 1, tree, 0)
  if find(s, "[^ \t\n\r]", behind) then
    leave()
  end
end
