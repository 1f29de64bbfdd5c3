using System.Net;

namespace MailPipeline.Testing;

/// <summary>Postfix's test server (Debian's smtp-sink): takes all mail, and can keep each message in a file.</summary>
public sealed class SmtpSink : IAsyncDisposable
{
    private readonly TempFolder _folder;
    private readonly ServerProcess _process;

    private SmtpSink(TempFolder folder, ServerProcess process, IPEndPoint endPoint)
    {
        _folder = folder;
        _process = process;
        EndPoint = endPoint;
    }

    public IPEndPoint EndPoint { get; }

    /// <param name="options">Further options of smtp-sink, e.g. <c>-q .</c> to close after the final dot.</param>
    public static async Task<SmtpSink> StartAsync(
        IReadOnlyList<string>? options = null, IPAddress? address = null, int port = 0, CancellationToken cancellation = default)
    {
        var program = DebianProgram.Find("smtp-sink", "postfix");
        var folder = new TempFolder("sink");
        try
        {
            var endPoint = new IPEndPoint(address ?? IPAddress.Loopback, port == 0 ? FreePorts.Next() : port);
            var mail = folder.CreateFolder("mail");
            if (Environment.IsPrivilegedProcess)
                await ServerProcess.RunAsync(DebianProgram.Find("chown", "coreutils"), ["nobody", mail], cancellation: cancellation);
            string[] user = Environment.IsPrivilegedProcess ? ["-u", "nobody"] : [];
            var process = ServerProcess.Start(
                program, [.. user, .. options ?? [], "-d", Path.Combine(mail, "%M."), $"{endPoint.Address}:{endPoint.Port}", "1000"], mail);
            await process.WaitUntilAsync(ct => FreePorts.AcceptsAsync(endPoint, ct), TimeSpan.FromSeconds(20), "smtp-sink", cancellation);
            return new(folder, process, endPoint);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>The messages that arrived so far, with smtp-sink's own lines (X-Client-Addr ...) before each.</summary>
    public IReadOnlyList<byte[]> ReadMessages() => [.. Directory.GetFiles(_folder["mail"]).Select(File.ReadAllBytes)];

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }
}
