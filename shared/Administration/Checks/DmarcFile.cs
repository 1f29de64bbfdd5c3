using MailPipeline.Authentication.Dmarc;

namespace MailPipeline.Administration;

/// <summary>A report by DMARC in a file: the message that it came with, or what was attached to that.</summary>
public static class DmarcFile
{
    /// <returns><see cref="DmarcReportShown"/>, or why not.</returns>
    public static async Task<CheckResult> ReadAsync(string file, CancellationToken cancellation)
    {
        try
        {
            await using var stream = File.OpenRead(file);
            var octets = new byte[DmarcReportFile.MaxBytes + 1];
            var length = await stream.ReadAtLeastAsync(octets, octets.Length, throwOnEndOfStream: false, cancellation);
            return DmarcReportFile.TryRead(octets.AsMemory(0, length), out var report, out var fault) ? new DmarcReportShown(report) : new FileUnusable(file, fault.TrimEnd('.'));
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return new FileUnusable(file, unreadable.Message.TrimEnd('.'));
        }
    }
}
