using MailPipeline.Authentication.Dmarc;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// The Public Suffix List in use: the one that is built in, or the operator's file, which is looked at once a minute and read when it has
/// changed. One that cannot be read leaves the last one in use.
/// </summary>
internal sealed partial class PublicSuffixes(IOptions<IngressOptions> options, TimeProvider time, ILogger<PublicSuffixes> log)
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(1);

    private readonly string _file = options.Value.Checks.Authentication.Dmarc.PublicSuffixFile;
    private readonly Lock _lock = new();
    private PublicSuffixList? _list;
    private DateTime _written;
    private long _looked;

    /// <summary>Null: the file is such a list. Else why not.</summary>
    public static string? FaultOf(string file)
    {
        try
        {
            return PublicSuffixList.FaultOf(File.ReadAllText(file));
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return $"it cannot be read ({unreadable.Message.TrimEnd('.')})";
        }
    }

    public PublicSuffixList Current()
    {
        if (_file.Length == 0)
            return PublicSuffixList.BuiltIn;
        lock (_lock)
        {
            if (_list is not null && time.GetElapsedTime(_looked) < s_interval)
                return _list;
            _looked = time.GetTimestamp();
            var written = File.GetLastWriteTimeUtc(_file);
            if (_list is null || written != _written)
                Read(written);
            return _list ?? PublicSuffixList.BuiltIn;
        }
    }

    private void Read(DateTime written)
    {
        _written = written;
        if (FaultOf(_file) is { } fault)
        {
            LogUnreadable(log, _file, fault);
            return;
        }

        using var text = File.OpenText(_file);
        _list = PublicSuffixList.Read(text);
        LogRead(log, _file, _list.Count);
    }

    [LoggerMessage(1055, LogLevel.Warning, "Ingress:Checks:Authentication:Dmarc:PublicSuffixFile {File} is not used: {Fault}; the list in use stays")]
    private static partial void LogUnreadable(ILogger log, string file, string fault);

    [LoggerMessage(1056, LogLevel.Information, "Public Suffix List {File} read: {Count} rules")]
    private static partial void LogRead(ILogger log, string file, int count);
}
