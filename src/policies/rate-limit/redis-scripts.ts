/**
 * Scripts that run atomically inside Redis, by its clock. A fixed window is stored as in rate-limit-redis: a number that
 * expires. GCRA is stored as the used part of the limit with its time: `used microseconds`.
 */

const DRAINED = `
local function drained(saved, now, limit, window)
  local used, at = string.match(saved or '', '^(%S+) (%d+)$')
  if not used then return 0 end
  return math.max(0, tonumber(used) - math.max(0, now - tonumber(at)) * limit / (window * 1000))
end
local function keep(key, used, now, limit, window)
  local saved = string.format('%.17g %.0f', used, now)
  redis.call('SET', key, saved, 'PX', math.max(1, math.ceil(used * window / limit)))
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
`

/**
 * Counts a request against all policies or, if one refuses it, against none.
 *
 * KEYS one for each policy. ARGV for each: `fixed-window` or `gcra`, limit, window in ms, cost, 1 if it refuses or 0 if
 * it only reports. Returns for each: 1 if it allows the request, rest of the limit, ms until the whole limit is available,
 * ms until the request would be allowed.
 */
export const TAKE = `${DRAINED}
local policies, refused = {}, false
for i, key in ipairs(KEYS) do
  local a = (i - 1) * 5
  local p = { key = key, gcra = ARGV[a + 1] == 'gcra', limit = tonumber(ARGV[a + 2]), window = tonumber(ARGV[a + 3]) }
  p.cost = tonumber(ARGV[a + 4])
  if p.gcra then
    p.used = drained(redis.call('GET', key), now, p.limit, p.window)
  else
    p.ttl = redis.call('PTTL', key)
    p.used = p.ttl > 0 and tonumber(redis.call('GET', key)) or 0
  end
  p.allowed = p.used + p.cost <= p.limit + 0.000001
  if not p.allowed and ARGV[a + 5] == '1' then refused = true end
  policies[i] = p
end
local reply = {}
for _, p in ipairs(policies) do
  local retry = 0
  if p.allowed and not refused then
    p.used = p.used + p.cost
    if p.gcra then
      keep(p.key, p.used, now, p.limit, p.window)
    elseif p.ttl > 0 then
      redis.call('INCRBY', p.key, p.cost)
    else
      redis.call('SET', p.key, p.cost, 'PX', p.window)
      p.ttl = p.window
    end
  end
  local reset = p.gcra and math.ceil(p.used * p.window / p.limit) or (p.ttl > 0 and p.ttl or p.window)
  if not p.allowed then
    retry = p.gcra and math.ceil((p.used + p.cost - p.limit) * p.window / p.limit) or reset
  end
  table.insert(reply, p.allowed and 1 or 0)
  table.insert(reply, math.max(0, math.floor(p.limit - p.used + 0.000001)))
  table.insert(reply, reset)
  table.insert(reply, retry)
end
return reply
`

/**
 * Counts costs that became known after the request, also above the limit.
 *
 * KEYS one for each policy. ARGV for each: algorithm, limit, window in ms, cost.
 */
export const CHARGE = `${DRAINED}
for i, key in ipairs(KEYS) do
  local a = (i - 1) * 4
  local limit, window, cost = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  if cost > 0 then
    if ARGV[a + 1] == 'gcra' then
      keep(key, drained(redis.call('GET', key), now, limit, window) + cost, now, limit, window)
    elseif redis.call('PTTL', key) > 0 then
      redis.call('INCRBY', key, cost)
    else
      redis.call('SET', key, cost, 'PX', window)
    end
  end
end
return 1
`

/**
 * Counts requests that were allowed while Redis was unavailable.
 *
 * KEYS one. ARGV: algorithm, limit, window in ms, cost, ms until the end of the window that it was counted in.
 */
export const HAND_BACK = `${DRAINED}
local key, limit, window, cost, rest = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if ARGV[1] == 'gcra' then
  keep(key, math.min(limit, drained(redis.call('GET', key), now, limit, window) + cost), now, limit, window)
elseif redis.call('PTTL', key) > 0 then
  redis.call('INCRBY', key, cost)
else
  redis.call('SET', key, cost, 'PX', rest)
end
return 1
`
