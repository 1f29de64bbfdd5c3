using System.Net;

namespace MailPipeline.Testing;

/// <summary>
/// A Dovecot of its own that speaks LMTP, over TCP and a Unix socket, and keeps the mail of its users in Maildirs. Needs root, as Dovecot does.
/// </summary>
public sealed class DovecotServer : IAsyncDisposable
{
    private static readonly TimeSpan s_startTime = TimeSpan.FromSeconds(20);

    private readonly TempFolder _folder;
    private readonly ServerProcess _process;

    private DovecotServer(TempFolder folder, ServerProcess process, IPEndPoint endPoint)
    {
        _folder = folder;
        _process = process;
        EndPoint = endPoint;
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>The path of its socket.</summary>
    public string Socket => SocketIn(_folder);

    /// <summary>What it logged so far.</summary>
    public string Log => File.Exists(_folder["log"]) ? File.ReadAllText(_folder["log"]) : "";

    /// <param name="users">Local parts; it takes them in any domain.</param>
    /// <param name="settings">Further lines of dovecot.conf.</param>
    public static async Task<DovecotServer> StartAsync(IReadOnlyList<string> users, string settings = "", CancellationToken cancellation = default)
    {
        var program = DebianProgram.Find("dovecot", "dovecot-lmtpd");
        var folder = new TempFolder("dovecot");
        try
        {
            var endPoint = new IPEndPoint(IPAddress.Loopback, FreePorts.Next());
            var mail = folder.CreateFolder("mail");
            await ServerProcess.RunAsync(DebianProgram.Find("chown", "coreutils"), ["nobody", mail], cancellation: cancellation);
            folder.Write("users", string.Concat(users.Select(user => $"{user}:{{PLAIN}}x:65534:65534::{mail}/{user}::\n")));
            var process = ServerProcess.Start(program, ["-F", "-c", folder.Write("dovecot.conf", Configuration(folder, endPoint, settings))], folder.FullPath);
            await process.WaitUntilAsync(ct => FreePorts.AcceptsAsync(endPoint, ct), s_startTime, "dovecot", cancellation);
            return new(folder, process, endPoint);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>The messages of a user that arrived so far.</summary>
    public IReadOnlyList<byte[]> ReadMaildir(string user) =>
        Directory.Exists(_folder[$"mail/{user}/new"]) ? [.. Directory.GetFiles(_folder[$"mail/{user}/new"]).Select(File.ReadAllBytes)] : [];

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    private static string SocketIn(TempFolder folder) => folder["lmtp"];

    private static string Configuration(TempFolder folder, IPEndPoint endPoint, string settings) => $$"""
        base_dir = {{folder.CreateFolder("run")}}
        state_dir = {{folder.CreateFolder("state")}}
        protocols = lmtp
        listen = 127.0.0.1
        log_path = {{folder["log"]}}
        ssl = no
        mail_location = maildir:{{folder["mail"]}}/%n
        first_valid_uid = 1
        default_login_user = nobody
        default_internal_user = nobody
        default_internal_group = nogroup
        mail_uid = nobody
        mail_gid = nogroup
        recipient_delimiter = +
        auth_username_format = %n
        protocol lmtp {
          auth_username_format = %n
        }
        passdb {
          driver = passwd-file
          args = {{folder["users"]}}
        }
        userdb {
          driver = passwd-file
          args = {{folder["users"]}}
        }
        service lmtp {
          inet_listener lmtp {
            address = {{endPoint.Address}}
            port = {{endPoint.Port}}
          }
          unix_listener {{SocketIn(folder)}} {
            mode = 0666
          }
        }
        service anvil {
          chroot =
        }
        {{settings}}

        """;
}
