-- Creates contacts that no other run creates: wrk … -s create.lua URL -- <authorization> <run>
local authorization, run
local number = 0

function init(args)
  authorization, run = args[1], args[2]
end

function request()
  number = number + 1
  local unique = run .. "-" .. number
  local body = string.format(
    '{"inbox_id":1,"name":"Anna Meier %d","email":"anna.%s@example.com",' ..
    '"phone_number":"+49%s%07d","identifier":"user-%s",' ..
    '"custom_attributes":{"plan":"pro","seats":%d},' ..
    '"additional_attributes":{"city":"Berlin","company_name":"ACME"}}',
    number, unique, run, number, unique, number)
  local headers = { ["Authorization"] = authorization, ["Content-Type"] = "application/json" }
  return wrk.format("POST", "/api/v2/accounts/contacts", headers, body)
end
