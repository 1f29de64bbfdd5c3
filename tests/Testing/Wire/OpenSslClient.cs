using System.Diagnostics;
using System.Net;

namespace MailPipeline.Testing;

/// <summary>A TLS client that is not ours: <c>openssl s_client</c>.</summary>
public static class OpenSslClient
{
    /// <summary>
    /// A TLS 1.2 handshake with one of these ciphers and no others.
    /// </summary>
    /// <param name="ciphers">In OpenSSL's names, with a colon between.</param>
    /// <param name="startTls">smtp or pop3; null where TLS comes first.</param>
    /// <returns>The cipher that was agreed upon; null when there is none.</returns>
    public static async Task<string?> HandshakeAsync(IPEndPoint server, string ciphers, string? startTls, CancellationToken cancellation)
    {
        string[] arguments =
        [
            "s_client", "-connect", server.ToString(), "-tls1_2", "-cipher", ciphers, "-brief", .. startTls is null ? (string[])[] : ["-starttls", startTls],
        ];
        using var process = Process.Start(new ProcessStartInfo(DebianProgram.Find("openssl", "openssl"), arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(cancellation);
        // -brief says what was agreed upon there.
        var said = await process.StandardError.ReadToEndAsync(cancellation);
        await output;
        await process.WaitForExitAsync(cancellation);
        const string agreed = "Ciphersuite: ";
        return said.Split('\n').FirstOrDefault(line => line.StartsWith(agreed, StringComparison.Ordinal))?[agreed.Length..].Trim();
    }
}
