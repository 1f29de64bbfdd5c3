using System.Net;

namespace MailPipeline.Testing;

/// <summary>OpenDKIM as a milter (Debian's), which signs what anybody sends from a domain, with a key of its own.</summary>
public sealed class OpenDkimServer : IAsyncDisposable
{
    private readonly TempFolder _folder;
    private readonly ServerProcess _process;

    private OpenDkimServer(TempFolder folder, ServerProcess process, IPEndPoint endPoint, string publicKey) =>
        (_folder, _process, EndPoint, PublicKey) = (folder, process, endPoint, publicKey);

    public IPEndPoint EndPoint { get; }

    /// <summary>In PEM.</summary>
    public string PublicKey { get; }

    /// <param name="domain">Whose messages it signs, with the selector "test".</param>
    /// <param name="signsForAll">Who sends them need not have logged in.</param>
    public static async Task<OpenDkimServer> StartAsync(string domain, bool signsForAll = true, CancellationToken cancellation = default)
    {
        var program = DebianProgram.Find("opendkim", "opendkim");
        var folder = new TempFolder("opendkim");
        try
        {
            var endPoint = new IPEndPoint(IPAddress.Loopback, FreePorts.Next());
            using var key = System.Security.Cryptography.RSA.Create(2048);
            var process = ServerProcess.Start(program, ["-f", "-x", folder.Write("opendkim.conf", $"""
                Mode s
                Domain {domain}
                Selector test
                KeyFile {folder.Write("key.pem", key.ExportRSAPrivateKeyPem())}
                Socket inet:{endPoint.Port}@127.0.0.1
                Background no
                Canonicalization simple/simple
                InternalHosts {folder.Write("hosts", signsForAll ? "0.0.0.0/0\n::/0\n" : "192.0.2.1\n")}
                RequireSafeKeys no
                UserID root
                Syslog no

                """)], folder.FullPath);
            await process.WaitUntilAsync(ct => FreePorts.AcceptsAsync(endPoint, ct), TimeSpan.FromSeconds(20), "opendkim", cancellation);
            return new(folder, process, endPoint, key.ExportSubjectPublicKeyInfoPem());
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
