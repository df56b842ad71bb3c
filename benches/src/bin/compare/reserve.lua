-- Takes one unit of each of a reservation's cells, or of none, and keeps the reservation under its request id, with its expiry in an index
-- that a sweeper would read to give the units back.
-- KEYS: the reservation, the index of expiries, then one key for each cell. ARGV: when it expires, then what is kept of it.
-- Answers 1 when it was taken, 2 when it had been before, 0 when there is too little.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 2
end
for place = 3, #KEYS do
  if tonumber(redis.call('GET', KEYS[place]) or '0') < 1 then
    return 0
  end
end
for place = 3, #KEYS do
  redis.call('DECR', KEYS[place])
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[1], KEYS[1])
return 1
