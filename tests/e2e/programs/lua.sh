#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lua: tables, coroutines, garbage collection, files.
. "$(dirname "$0")/lib.sh"
need lua5.4

cat >task.lua <<'END'
local function primes(n)
  local s, out = {}, {}
  for i = 2, n do if not s[i] then out[#out + 1] = i; for j = i * i, n, i do s[j] = true end end end
  return out
end
local p = primes(100000)
print(#p, p[#p])
local gen = coroutine.wrap(function() for i = 1, 1000 do coroutine.yield(i * i) end end)
local sum = 0
for v in gen do sum = sum + v end
print(sum, string.format("%.10f %q %x", math.pi, "a\nb", 255))
for i = 1, 200 do local t = {} for j = 1, 2000 do t[j] = {j, tostring(j)} end end
collectgarbage()
print(collectgarbage("count") < 5000)
local name = os.tmpname()
local f = assert(io.open(name, "w"))
for i = 1, 3000 do f:write("line ", i, "\n") end
f:close()
local n = 0
for l in io.lines(name) do n = n + #l end
print(n, os.remove(name))
print(("the quick brown fox"):gsub("%w+", string.upper))
print(pcall(error, {code = 1}), select("#", ...), (...))
print(utf8.len("äöü"), 7 // 2, 7.0 // 2, 1 << 40, math.maxinteger + 1 == math.mininteger)
os.exit(5)
END
same -- lua5.4 task.lua x y
finish
