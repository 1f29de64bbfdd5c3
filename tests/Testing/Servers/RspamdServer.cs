using System.Net;

namespace MailPipeline.Testing;

/// <summary>
/// An rspamd of its own (Debian's) without Redis and network: subjects with "cheap", "grey" and "worm" get a header, are put off, and are
/// refused; one with "list" is rewritten, as mailing lists do. It answers by HTTP and, in its proxy, as a milter. Needs root, as it becomes a user of its own.
/// </summary>
public sealed class RspamdServer : IAsyncDisposable
{
    private static readonly TimeSpan s_startTime = TimeSpan.FromMinutes(2);

    private readonly TempFolder _folder;
    private readonly ServerProcess _process;

    private RspamdServer(TempFolder folder, ServerProcess process, IPEndPoint http, IPEndPoint milter) =>
        (_folder, _process, Http, Milter) = (folder, process, http, milter);

    public IPEndPoint Http { get; }

    public IPEndPoint Milter { get; }

    public static async Task<RspamdServer> StartAsync(CancellationToken cancellation = default)
    {
        var program = DebianProgram.Find("rspamd", "rspamd");
        var folder = new TempFolder("rspamd");
        try
        {
            var (http, milter) = (new IPEndPoint(IPAddress.Loopback, FreePorts.Next()), new IPEndPoint(IPAddress.Loopback, FreePorts.Next()));
            folder.CreateFolder("conf");
            folder.Write("conf/rspamd.local.lua", """
                local function subject(word, name)
                  rspamd_config:register_symbol({ name = name, type = 'normal', callback = function(task)
                    if (task:get_subject() or ''):find(word) then task:insert_result(name, 1.0) end
                  end })
                end
                subject('cheap', 'TEST_CHEAP')
                subject('grey', 'TEST_GREY')
                subject('worm', 'TEST_WORM')
                subject('list', 'TEST_LIST')
                """);
            var data = folder.CreateFolder("db");
            await ServerProcess.RunAsync(DebianProgram.Find("chown", "coreutils"), ["_rspamd", data], cancellation: cancellation);
            var configuration = folder.Write("rspamd.conf", $$"""
                options {
                  pidfile = "{{data}}/rspamd.pid";
                  filters = "";
                  local_addrs = [];
                  url_tld = "{{folder.Write("tlds", "com\nnet\norg\nexample\n")}}";
                  cache_file = "{{data}}/symbols.cache";
                  hs_cache_dir = "{{data}}/";
                  tempdir = "{{data}}";
                  dns { nameserver = ["127.0.0.1:9:1"]; timeout = 0.1s; retransmits = 1; }
                }
                logging { type = "console"; level = "info"; }
                metric "default" {
                  actions { reject = 15; "rewrite subject" = 9; "add header" = 6; greylist = 4; }
                  subject = "[changed] %s";
                  unknown_weight = 1;
                  symbol "TEST_CHEAP" { weight = 7; description = "cheap"; }
                  symbol "TEST_LIST" { weight = 10; description = "list"; }
                  symbol "TEST_WORM" { weight = 20; description = "worm"; }
                  symbol "TEST_GREY" { weight = 4; description = "grey"; }
                }
                modules { path = "/usr/share/rspamd/plugins/"; }
                lua = "/usr/share/rspamd/rules/rspamd.lua";
                worker "normal" { bind_socket = "{{http}}"; count = 1; }
                worker "rspamd_proxy" {
                  bind_socket = "{{milter}}"; milter = yes; timeout = 20s; count = 1;
                  upstream "local" { default = yes; self_scan = yes; }
                }
                """);
            var process = ServerProcess.Start(
                program, ["-c", configuration, "--var", $"LOCAL_CONFDIR={folder["conf"]}", "-f", "-u", "_rspamd", "-g", "_rspamd"], folder.FullPath);
            await process.WaitUntilAsync(
                async ct => await FreePorts.AcceptsAsync(http, ct) && await FreePorts.AcceptsAsync(milter, ct), s_startTime, "rspamd", cancellation);
            return new(folder, process, http, milter);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _process.StopAsync(TimeSpan.FromSeconds(10));
        await _process.DisposeAsync();
        _folder.Dispose();
    }
}
