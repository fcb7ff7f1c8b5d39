-- What is read of a request, and how: json.lua, form.lua and headers.lua stand before this.

local LARGEST = 16384 -- of what stands in a header

local SIXES = { [43] = 62, [45] = 62, [47] = 63, [95] = 63 }
for at, mark in ipairs({ byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 1, -1) }) do
  SIXES[mark] = at - 1
end

-- What Base64 stands for, in either alphabet: of letters of one only, without padding.
local function unbased(s)
  local rest = #s % 4
  if rest == 1 or #s > LARGEST then
    leave()
  end
  local pieces = {}
  for at = 1, #s - rest, 4 do
    local a, b, c, d = byte(s, at, at + 3)
    local low = SIXES[c] * 64 + SIXES[d]
    local high = SIXES[a] * 4 + (SIXES[b] - SIXES[b] % 16) / 16
    low = low + SIXES[b] % 16 * 4096
    pieces[#pieces + 1] = char(high, (low - low % 256) / 256, low % 256)
  end
  if rest > 1 then
    local a, b, c = byte(s, -rest, -1)
    pieces[#pieces + 1] = char(SIXES[a] * 4 + (SIXES[b] - SIXES[b] % 16) / 16)
    if c then
      pieces[#pieces + 1] = char(SIXES[b] % 16 * 16 + (SIXES[c] - SIXES[c] % 4) / 4)
    end
  end
  return concat(pieces)
end

-- A text of which it is known what characters it has, and that Envoy does not cut off.
local function plain(s)
  return find(s, "[%z\128-\255]") and leave() or s
end

-- Beside letters, digits and these no character is one of Base64, but for ends of lines: then it stands for nothing.
local NO_BASE64 = "[^%w+/=_\r\n-]"

local function decoded(s)
  local letters = #s % 4 == 0 and match(s, "^([%w+/]+)=?=?$") or leave()
  return unbased(letters)
end

local function decoded_of_url(s)
  local letters, padding = match(s, "^([%w_-]+)(=?=?)$")
  if not letters or (padding ~= "" and #s % 4 > 0) then
    leave()
  end
  return unbased(letters)
end

MAKES["base64.decode"] = function(s) return not find(s, NO_BASE64) and plain(decoded(s)) end
MAKES["base64url.decode"] = function(s) return not find(s, NO_BASE64) and plain(decoded_of_url(s)) end
MAKES.lower = function(s) return plain(s):lower() end
MAKES.upper = function(s) return plain(s):upper() end

-- The code says in which order members are joined, and in hexadecimal what stands between them: made.py.
join = function(code, members)
  local order, glue = match(code, "^join(%a)(%x*)$")
  order, glue = order:lower(), hexadecimal(glue)
  if order == "t" then
    return concat(members, glue)
  end
  local sorted = {}
  for at, each in ipairs(members) do
    sorted[at] = each
  end
  table.sort(sorted)
  local kept = {}
  for _, each in ipairs(sorted) do
    if order == "s" or each ~= kept[#kept] then
      kept[#kept + 1] = each
    end
  end
  return concat(kept, glue)
end

local CODINGS = {}

function CODINGS.json(s, tree)
  if #s > LARGEST or find(s, "[\128-\255]") then
    leave()
  end
  whole(s, tree)
end

function CODINGS.plain(s, tree)
  local content = plain(trimmed(s, UNSPACED_HEADER))
  lay(tree, "string", content, #content)
end

-- What stands behind the first space, up to the next: nothing where there is none.
function CODINGS.word(s, tree)
  local piece = match(trimmed(s, UNSPACED_HEADER), "^[^ ]* ([^ ]*)")
  if piece then
    lay(tree, "string", plain(piece), #piece)
  end
end

function CODINGS.base64(s, tree)
  whole(decoded(s), tree)
end

function CODINGS.base64url(s, tree)
  whole(decoded_of_url(s), tree)
end

-- What stands before the first dot, if there is one.
function CODINGS.firstbase64(s, tree)
  CODINGS.base64(match(s, "^[^.]*"), tree)
end

function CODINGS.firstbase64url(s, tree)
  CODINGS.base64url(match(s, "^[^.]*"), tree)
end

-- What stands between the first dot and the next, if there is a dot: else it is undefined.
local function second(s, coding, tree)
  local piece = match(s, "^[^.]*%.([^.]*)")
  if piece then
    CODINGS[coding](piece, tree)
  end
end

function CODINGS.secondbase64(s, tree)
  second(s, "base64", tree)
end

function CODINGS.secondbase64url(s, tree)
  second(s, "base64url", tree)
end

-- A token that is no token in a token, and is not encrypted: what others are, the engine says.
function CODINGS.token(s, tree)
  local head, claims, signature = match(s, "^([%w_-]+)%.([%w_-]+)%.([%w_-]*)$")
  if not head or #signature % 4 == 1 then
    leave()
  end
  local first, second = tree.items[0], tree.items[1]
  lay(tree, "array", nil, 3)
  whole(unbased(head), first)
  whole(unbased(claims), second)
  if found["k" .. first.name] ~= "object" or found["k" .. second.name] ~= "object" then
    leave()
  end
  if found["k" .. first.keys.cty.name] ~= "missing" or found["k" .. first.keys.enc.name] ~= "missing" then
    leave()
  end
end

-- An object of the entries in a text, as of cookies; the coding says how they are taken out of it: entries.py.
local function entries(s, tree, coding)
  local digits, how = match(coding, "^pairs(%x+)x(%l*)$")
  local mark = hexadecimal(digits)
  local function is(flag)
    return find(how, flag, 1, true) ~= nil
  end
  s = trimmed(s, UNSPACED_HEADER)
  if #s > LARGEST or find(s, "[\128-\255]") then
    leave()
  end
  take(#s)
  local values, count, from = {}, 0, 1
  while from do
    local at, last = find(s, mark, from, true)
    local piece = sub(s, from, at and at - 1 or -1)
    from = last and last + 1
    if is("t") then
      piece = trimmed(piece, UNSPACED)
    elseif is("s") then
      piece = trimmed(piece, "[^ ]")
    end
    local sign = find(piece, "=", 1, true)
    local unlike = is("d") and (not sign or find(piece, "=", sign + 1, true))
    if not (unlike or (is("g") and not sign) or (is("n") and sign == 1)) then
      local name = sign and sub(piece, 1, sign - 1) or piece
      local content = sign and sub(piece, sign + 1) or piece
      if not is("r") then
        content = match(content, "^[^=]*")
      end
      if is("k") then
        name = trimmed(name, UNSPACED)
      end
      if not values[name] then
        count = count + 1
        if count > PAIRS then
          leave()
        end
      elseif values[name] ~= content then
        leave() -- Rego ends in an error
      end
      values[name] = content
    end
  end
  lay(tree, "object", nil, count)
  for name, node in pairs(tree.keys or {}) do
    if values[name] then
      lay(node, "string", values[name], #values[name])
    end
  end
end

-- The value of a cookie where all are `name=value` in plain ASCII and its name stands there once, so that all
-- ways to take it out agree; nothing where the name stands nowhere.
local function cookie(s, name)
  if not s or not find(s, name, 1, true) then
    return nil
  end
  local first = find(s, name .. "=", 1, true)
  if #s > LARGEST or not first or find(s, name .. "=", first + 1, true) then
    leave()
  end
  local found, from = nil, 1
  while from do
    local at, last = find(s, "; ", from, true)
    local key, content = match(sub(s, from, at and at - 1), "^([!-+%-./0-9:<>-~]+)=([!-+%-./0-9:<-~]*)$")
    if key == name then
      found = match(content, "^[%w_.+/-]+$")
    elseif not key then
      leave()
    end
    from = last and last + 1
  end
  return found or leave()
end

-- The first value of a parameter where no name is escaped and it stands there as it is; nothing without the name.
local function parameter(target, name)
  local query = target and match(target, "%?(.*)$")
  if not query then
    return nil
  end
  if #query > LARGEST or find(query, "[^!-~]") or find(query, "[;#]") then
    leave()
  end
  local found
  for pair in gmatch(query, "[^&]+") do
    local key, content = match(pair, "^([^=]*)=?(.*)$")
    if find(key, "[%%+]") or find(gsub(content, "%%%x%x", ""), "%", 1, true) then
      leave()
    elseif key == name and not found then
      found = match(content, "^[%w_.-]+$") or leave()
    end
  end
  return found
end

local function text_of(headers, wanted)
  if wanted.cookie then
    return cookie(headers:get("cookie"), wanted.cookie)
  elseif wanted.parameter then
    return parameter(headers:get(":path"), wanted.parameter)
  end
  return wanted.header ~= "" and headers:get(wanted.header)
end

local function read_headers(headers)
  for _, wanted in ipairs(WANTED.texts) do
    clear(wanted.tree)
    taken = 0
    local s = text_of(headers, wanted)
    if wanted.hidden then
      names(headers, wanted)
    elseif not CODINGS[wanted.coding] then
      if s and wanted.prefix == "?" then
        s = match(s, "^[^?]*%?([^?]*)")
        s = s and find(s, "[ \t]") and leave() or s
      end
      if s then
        entries(s, wanted.tree, wanted.coding)
      else
        lay(wanted.tree, "object", nil, 0)
      end
    elseif s then
      if (wanted.prefix or "") ~= "" then
        -- What follows has no space, so that all ways to take it out of the header agree.
        local size = #wanted.prefix
        s = sub(s, 1, size) == wanted.prefix and match(s, "^[%w_.+/=-]+$", size + 1) or leave()
      end
      CODINGS[wanted.coding](s, wanted.tree)
    end
  end
end

-- What is made of the claims of a token that was verified; of those of one that was not, nothing.
local function claims(node, content)
  if type(content) == "string" then
    lay(node, "string", content)
  end
  for name, below in pairs(node.keys or {}) do
    claims(below, type(content) == "table" and content[name] or nil)
  end
end

local function read_claims(verified)
  for _, wanted in ipairs(WANTED.claims or {}) do
    clear(wanted.tree)
    claims(wanted.tree, verified and verified[wanted.token])
  end
end

-- By which of the two a body of that type is read as parsed_body: gRPC goes before forms. Others have none.
local function reader_of(kind)
  if find(kind, "application/json", 1, true) then
    return whole
  elseif not find(kind, "application/grpc", 1, true) and find(kind, "application/x-www-form-urlencoded", 1, true) then
    return form
  end
end

local function read_body(s, reader)
  taken = 0
  if WANTED.parsed then
    clear(WANTED.parsed)
    if s == "" or not reader then
      lay(WANTED.parsed, "null")
    else
      reader(s, WANTED.parsed)
    end
  end
  if WANTED.json then
    clear(WANTED.json)
    if s ~= "" then
      whole(s, WANTED.json)
    end
  end
  if WANTED.text then
    clear(WANTED.text)
    if s ~= "" then
      take(#s)
      lay(WANTED.text, "string", find(s, "%z") and leave() or s, characters(s))
    end
  end
end

local function read(headers, verified, s, reader)
  found = {}
  read_claims(verified)
  read_headers(headers)
  if s then
    read_body(s, reader)
  end
end

function envoy_on_request(handle)
  local s, reader
  if WANTED.parsed or WANTED.json then
    reader = reader_of(handle:headers():get("content-type") or "")
    s = ""
    if reader or WANTED.json or WANTED.text then
      local body = handle:body()
      s = body and body:getBytes(0, body:length()) or ""
      local length = handle:headers():get("content-length")
      if length and tonumber(length) ~= #s then
        return
      end
    end
  end
  -- What was asked for before a wait for the body is of no use behind it.
  local metadata = handle:streamInfo():dynamicMetadata()
  local verified = WANTED.claims and metadata:get("envoy.filters.http.jwt_authn")
  if pcall(read, handle:headers(), verified, s, reader) then
    found.of = MARK
    found.ktruncated, found.vtruncated = "boolean", false
    metadata:set("palisade.body", "fields", found)
  end
end
