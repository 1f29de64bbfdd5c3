using MailPipeline.ServiceDefaults;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// Says why mail went in clear text to a host that offers TLS: one line an hour for each host, and one that counts the rest.
/// </summary>
internal sealed class ClearTextLog(TimeProvider time, ILogger<ClearTextLog> log) : IDisposable
{
    internal static readonly TimeSpan Window = TimeSpan.FromHours(1);

    private readonly LogCap<string> _hosts = new(time, lines: 1, Window, (host, count) => log.WentOnInClearAgain(host, count));

    /// <param name="host">Its name, in any case of letters, or its address.</param>
    /// <param name="remoteHost">With the address that was connected to.</param>
    /// <param name="cause">Why there is no TLS.</param>
    public void Write(string host, string remoteHost, string cause)
    {
        if (log.IsEnabled(LogLevel.Information) && _hosts.MayWrite(host.ToLowerInvariant()))
            log.WentOnInClear(remoteHost, cause);
    }

    public void Dispose() => _hosts.Dispose();
}
