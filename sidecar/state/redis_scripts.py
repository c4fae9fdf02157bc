"""The Lua scripts in which Redis reads and writes records, each as one step.

All keys have one hash tag, so that they are together in one slot of a cluster. Of each kind there
are a hash of its records by name, and three sorted sets of the names: by themselves, by version,
and by the time of expiry. A record is its version, its time of expiry or `-`, a line end, its data.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, Self

PREFIX: Final = "{jwt-sidecar}:"
"""Of every key and channel; in braces is the hash tag (Redis Cluster specification)."""
FORMAT: Final = 1
"""Of the keys and records. A change that an older sidecar would read wrongly adds 1."""
FORMAT_KEY: Final = f"{PREFIX}format"
VERSION_KEY: Final = f"{PREFIX}version"
CHANNEL: Final = f"{PREFIX}changed"
OTHER_FORMAT: Final = "JWTSIDECARFORMAT"
"""The code of the error that tells of a store in another format."""
RECORD_GONE: Final = "JWTSIDECARGONE"
"""The code of the error that tells of a record that Redis lost, but not its name."""
SWEPT: Final = 100
"""Records of a kind that have expired and are removed with a write, at most."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, which Redis knows by its SHA-1 once it has seen it."""

    text: str = field(repr=False)
    digest: str
    """As EVALSHA takes it."""

    @classmethod
    def of(cls, text: str) -> Self:
        """The script of this text."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def kind_keys(kind: str) -> tuple[str, str, str, str]:
    """Of a kind: its records, and their names by themselves, by version and by expiry."""
    parts = ("records", "names", "versions", "expiries")
    return tuple(f"{PREFIX}{part}:{kind}" for part in parts)  # type: ignore[return-value]


# An older sidecar that runs must notice too when a newer one has changed the store.
_BEGIN: Final = f"""
local format = redis.call('GET', KEYS[1])
if format and format ~= '{FORMAT}' then return redis.error_reply('{OTHER_FORMAT} ' .. format) end
"""

# Every command is tried that the other scripts call: one that is not allowed would leave a write
# half done, as scripts roll nothing back. On a replica the first of them fails.
OPEN: Final = Script.of(f"""{_BEGIN}
redis.call('TIME')
redis.call('SET', KEYS[1], '{FORMAT}', 'NX')
redis.call('HSET', KEYS[2], 'a', 'a')
redis.call('HMGET', KEYS[2], 'a')
redis.call('HGET', KEYS[2], 'a')
redis.call('HDEL', KEYS[2], 'a')
redis.call('ZADD', KEYS[3], 0, 'a')
redis.call('ZRANGEBYLEX', KEYS[3], '-', '+', 'LIMIT', 0, 1)
redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '+inf', 'LIMIT', 0, 1)
redis.call('ZREM', KEYS[3], 'a')
redis.call('PUBLISH', ARGV[1], '')
return 1
""")
"""KEYS: format, two that are not there. ARGV: channel."""


def _reading(names: str) -> Script:
    return Script.of(f"""{_BEGIN}
local names = {names}
if #names == 0 then return {{names, names}} end
return {{names, redis.call('HMGET', KEYS[2], unpack(names))}}
""")


GET: Final = _reading("{ARGV[1]}")
PAGE: Final = _reading(
    "redis.call('ZRANGEBYLEX', KEYS[3], '(' .. ARGV[1], '+', 'LIMIT', 0, ARGV[2])"
)
CHANGES: Final = _reading(
    "redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])"
)
"""All three give names, and records or nothing.

KEYS: format, records of the kind, its names or versions. ARGV: name or version, limit.
"""

# A version is the time in microseconds where that is more than the last one and 1: so it rises
# also where Redis was emptied. As a double it is exact until the year 2255.
WRITE: Final = Script.of(f"""{_BEGIN}
local time = redis.call('TIME')
local now = math.min(time[1] + time[2] / 1000000, tonumber(ARGV[2]))
local kinds = tonumber(ARGV[3])
local first = 4 + kinds
local function key(kind, part) return KEYS[2 + (kind - 1) * 4 + part] end
local function version(kind, name)
  local record = redis.call('HGET', key(kind, 1), name)
  if not record then return '0' end
  return string.match(record, '^(%d+) ')
end
local function remove(kind, name)
  redis.call('HDEL', key(kind, 1), name)
  for part = 2, 4 do redis.call('ZREM', key(kind, part), name) end
end
for at = first, #ARGV, 6 do
  local kind, name, expected = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  if expected ~= '' then
    local found = version(kind, name)
    local only = '[' .. name
    if found == '0' and #redis.call('ZRANGEBYLEX', key(kind, 2), only, only, 'LIMIT', 0, 1) > 0 then
      return redis.error_reply('{RECORD_GONE} a record was evicted or removed')
    end
    if expected ~= found then return 0 end
  end
end
if not format then redis.call('SET', KEYS[1], '{FORMAT}') end
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
for at = first, #ARGV, 6 do
  local kind, name, stays, expiry = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 3], ARGV[at + 4]
  if stays == '' then
    remove(kind, name)
  else
    last = math.max(last + 1, time[1] * 1000000 + time[2])
    local version = string.format('%.0f', last)
    redis.call('HSET', key(kind, 1), name, version .. ' ' .. expiry .. '\\n' .. ARGV[at + 5])
    redis.call('ZADD', key(kind, 2), 0, name)
    redis.call('ZADD', key(kind, 3), version, name)
    if expiry == '-' then
      redis.call('ZREM', key(kind, 4), name)
    else
      redis.call('ZADD', key(kind, 4), expiry, name)
    end
  end
end
redis.call('SET', KEYS[2], string.format('%.0f', last))
for kind = 1, kinds do
  local over = redis.call('ZRANGEBYSCORE', key(kind, 4), '-inf', now, 'LIMIT', 0, {SWEPT})
  for _, name in ipairs(over) do remove(kind, name) end
  redis.call('PUBLISH', ARGV[1], ARGV[3 + kind])
end
return 1
""")
"""Makes all changes, or none and gives 0.

A record whose name alone is left was evicted. It does not count as new: what was used once would
pass again.

What has expired by Redis's clock and by the writer's is removed.

KEYS: format, version, then four of each kind. ARGV: channel, the writer's clock, number of kinds,
their names; then of each write the number of its kind, name, expected version or nothing, whether
it stays or nothing, time of expiry or `-`, data.
"""
