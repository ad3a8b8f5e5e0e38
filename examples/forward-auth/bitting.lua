-- Lets a request on if Bitting answers 200. Refuses it otherwise, and also if nothing answers.
local url = "https://keys.example.com/v1/authorize?client=x-bitting-client-ip"
local identity = { "x-bitting-key-id", "x-bitting-organization-id", "x-bitting-user-id" }

core.register_action("authorize", { "http-req" }, function(txn)
  local headers = {
    ["x-forwarded-method"] = { txn.sf:method() },
    ["x-forwarded-uri"] = { txn.sf:pathq() },
    ["x-bitting-client-ip"] = { txn.sf:src() },
  }
  local sent = txn.http:req_get_headers()
  for _, name in ipairs({ "authorization", "x-api-key" }) do
    if sent[name] then headers[name] = { sent[name][0] } end
  end
  local answer = core.httpclient():get({ url = url, headers = headers, timeout = 5000 })
  if answer.status == 200 then
    for _, name in ipairs(identity) do
      txn.http:req_set_header(name, answer.headers[name] and answer.headers[name][0] or "")
    end
    return
  end
  local reply = txn:reply({ status = answer.status and answer.status >= 400 and answer.status or 503 })
  for _, name in ipairs({ "content-type", "retry-after", "www-authenticate" }) do
    if answer.headers and answer.headers[name] then reply:add_header(name, answer.headers[name][0]) end
  end
  reply:set_body(answer.body or "")
  txn:done(reply)
end)
