-- Forms: see json.lua, which stands before this.

local PAIRS = 1000 -- each takes about a microsecond

local HEXADECIMAL = {} -- the bytes by their two digits, in all spellings
for code = 0, 255 do
  local high, low = match(format("%02x", code), "(.)(.)")
  for _, digits in pairs({ high .. low, high:upper() .. low, high .. low:upper(), high:upper() .. low:upper() }) do
    HEXADECIMAL[digits] = char(code)
  end
end

-- How many characters a text has.
local function characters(s)
  local at, count = 1, 0
  local last = #s
  while at <= last do
    local lead = byte(s, at)
    at = lead < 128 and at + 1 or beyond(s, at, lead)
    count = count + 1
  end
  return count
end

local function unescaped(s)
  s = gsub(s, "%+", " ")
  if find(s, "%", 1, true) then
    if find(gsub(s, "%%%x%x", ""), "%", 1, true) then
      leave()
    end
    s = gsub(s, "%%(%x%x)", HEXADECIMAL)
    characters(s)
  end
  return s
end

local function texts(node, content)
  if content then
    lay(node, "string", content, characters(content))
  end
end

-- A form is an object of arrays of texts. Whole characters only: halves in bytes and in escapes of one character
-- are read in several ways.
local function form(s, tree)
  if find(s, "%z") or find(s, "%00", 1, true) then
    leave() -- Envoy would end the text there
  end
  take(#s)
  characters(s)
  local lists, names, count = {}, 0, 0
  for pair in gmatch(s, "[^&]+") do
    count = count + 1
    if count > PAIRS or find(pair, ";", 1, true) then
      leave()
    end
    local name, content = match(pair, "^([^=]*)=?(.*)$")
    name, content = unescaped(name), unescaped(content)
    if not lists[name] then
      lists[name] = {}
      names = names + 1
    end
    local list = lists[name]
    list[#list + 1] = content
  end
  lay(tree, "object", nil, names)
  for name, node in pairs(tree.keys or {}) do
    local list = lists[name]
    if list then
      if node.name and #list > MEMBERS then
        leave()
      end
      lay(node, "array", list, #list)
      joined(node, list, #list)
      for index, below in pairs(node.items or {}) do
        texts(below, list[index + 1])
      end
      for back, below in pairs(node.back or {}) do
        texts(below, list[#list + 1 - back])
      end
    end
  end
end
