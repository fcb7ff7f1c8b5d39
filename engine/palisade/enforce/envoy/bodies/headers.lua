-- What is asked of all headers: see headers.py, which tells by codes. json.lua and form.lua stand before this.

local UNSPACED, UNSPACED_HEADER = "[^\t-\r ]", "[^\t ]"

-- A text from its first character of that class to its last one. A pattern that ends in "(.-)[ \t]*$" would read a
-- run of spaces again from each of them: 58 kB of them, in one header, hold Envoy up for more than half a minute.
local function trimmed(s, class)
  local from = find(s, class)
  return from and match(s, "^.*" .. class, from) or ""
end

local function hexadecimal(digits)
  return (gsub(digits, "%x%x", function(code) return char(tonumber(code, 16)) end))
end

local ASKS = {
  e = function(s, text) return s == text end,
  p = function(s, text) return sub(s, 1, #text) == text end,
  s = function(s, text) return #s >= #text and sub(s, #s - #text + 1) == text end,
  c = function(s, text) return find(s, text, 1, true) ~= nil end,
  m = function(s, text) return #s > tonumber(text) end,
}

-- The tests of a code: headers.py.
local function tests_of(code)
  local tests = {}
  for of, fold, kind, asked, texts in gmatch(code, "_(%l)(%l)(%l)(%l)([^_]*)") do
    local test = { of = of, fold = fold == "l", ask = ASKS[kind], asked = asked == "y", texts = {} }
    for digits in gmatch(texts .. "z", "(%x*)z") do
      test.texts[#test.texts + 1] = hexadecimal(digits)
    end
    tests[#tests + 1] = test
  end
  return tests
end

local function passes(tests, name, content)
  for _, test in ipairs(tests) do
    local s = test.of == "n" and name or content
    s = test.fold and s:lower() or s
    local one = false
    for _, text in ipairs(test.texts) do
      one = one or test.ask(s, text)
    end
    if one ~= test.asked then
      return false
    end
  end
  return true
end

-- Whether some header passes all tests of a code, for each code, and how many there are.
local function names(headers, wanted)
  local values, count, distinct = {}, 0, 0
  for name, content in pairs(headers) do
    if find(name, "[\128-\255]") or find(content, "[\128-\255]") then
      leave()
    end
    count = count + 1
    if count > PAIRS then
      leave()
    end
    if not wanted.hidden[name] then
      distinct = values[name] and distinct or distinct + 1
      values[name] = values[name] and values[name] .. "," .. content or content
    end
  end
  for code, node in pairs(wanted.tree.keys) do
    if code == "count" then
      lay(node, "number", distinct)
    else
      node.tests = node.tests or tests_of(code)
      local found = false
      for name, content in pairs(values) do
        found = found or passes(node.tests, name, trimmed(content, UNSPACED_HEADER))
      end
      lay(node, "boolean", found)
    end
  end
end
