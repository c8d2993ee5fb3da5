-- Neovim's own client, with a server in a sandbox: prints what it hears as JSON, a line for each answer.

local out = io.open(os.getenv("ANSWERS"), "w")
local function tell(value)
  out:write(vim.fn.json_encode(value) .. "\n")
  out:flush()
end

local ok, why = pcall(function()
  vim.cmd("edit main.py")
  local published = nil
  local client = vim.lsp.start_client({
    name = "box",
    cmd = vim.fn.json_decode(os.getenv("COMMAND")),
    root_dir = vim.fn.getcwd(),
    handlers = {
      ["textDocument/publishDiagnostics"] = function(_, result) published = result end,
    },
  })
  vim.lsp.buf_attach_client(0, client)
  local function wait(what)
    assert(vim.wait(100000, what, 20), "it took too long")
  end
  wait(function()
    local one = vim.lsp.get_client_by_id(client)
    return one and one.initialized
  end)
  local function ask(method, line, character)
    local params = { textDocument = { uri = vim.uri_from_bufnr(0) }, position = { line = line, character = character } }
    local answers, failed = vim.lsp.buf_request_sync(0, method, params, 100000)
    assert(answers, failed)
    return answers[client].result
  end
  tell(ask("textDocument/definition", 3, 6))
  wait(function() return published end)
  tell(published.uri)
  -- What is in the buffer and on no disk.
  vim.api.nvim_buf_set_lines(0, 3, 4, false, { "one.si" })
  local labels = {}
  local found = ask("textDocument/completion", 3, 6)
  for _, item in ipairs(found.items or found) do
    table.insert(labels, item.label)
  end
  tell(labels)
  vim.lsp.stop_client(client)
  wait(function() return vim.lsp.client_is_stopped(client) end)
  tell("left")
end)
if not ok then
  tell(tostring(why))
end
out:close()
vim.cmd("qall!")
