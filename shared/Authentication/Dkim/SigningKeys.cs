using System.Collections.Frozen;
using System.Security.Cryptography;
using MailPipeline.Smtp;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.Authentication.Dkim;

/// <summary>
/// The keys that mail is signed with, by domain. Their folder is read again when it has changed. A file that cannot be read is logged once for each
/// change of it; where it is a key that was read before, that one goes on signing. Safe to ask from any thread; asking is cheap.
/// </summary>
public sealed partial class SigningKeys(IOptions<DkimOptions> options, TimeProvider time, ILogger<SigningKeys> log)
{
    /// <summary>Domains without a key whose operator is told so.</summary>
    private const int MaxTold = 1000;

    private readonly KeyFolder? _folder = options.Value.KeyFolder.Length > 0 ? new(options.Value.KeyFolder) : null;
    private readonly HashSet<string> _told = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private FrozenDictionary<string, DkimSigningKey[]> _keys = FrozenDictionary<string, DkimSigningKey[]>.Empty;
    private Dictionary<string, (string Stamp, DkimSigningKey? Key)> _files = new(StringComparer.Ordinal);
    private long? _checkedAt;

    /// <summary>There is a key of some domain, so that messages have to be read for signing.</summary>
    public bool HasAny => Current().Count > 0;

    /// <summary>The keys of the domain, the best-known algorithm first; empty where it has none.</summary>
    /// <param name="domain">In any case, in A-labels or U-labels.</param>
    public IReadOnlyList<DkimSigningKey> Of(string domain) =>
        Current() is { Count: > 0 } keys && DomainName.ToAscii(domain) is { } ascii && keys.TryGetValue(ascii, out var found) ? found : [];

    /// <summary>The keys of the domain or, where it has none, of the nearest above it: a key may sign for names below its domain.</summary>
    public IReadOnlyList<DkimSigningKey> AtOrAbove(string domain)
    {
        for (var name = domain; ; name = name[(name.IndexOf('.') + 1)..])
        {
            if (Of(name) is { Count: > 0 } found)
                return found;
            if (!name.Contains('.'))
                return [];
        }
    }

    /// <summary>Mail of a domain of ours goes unsigned. The operator is told once of each.</summary>
    public void NoteUnsigned(string domain)
    {
        lock (_gate)
        {
            if (_told.Count >= MaxTold || !_told.Add(domain))
                return;
        }

        LogUnsigned(log, domain);
    }

    private FrozenDictionary<string, DkimSigningKey[]> Current()
    {
        if (_folder is null)
            return _keys;
        lock (_gate)
        {
            if (_checkedAt is not { } last || time.GetElapsedTime(last) >= options.Value.CheckInterval)
            {
                Check(_folder);
                _checkedAt = time.GetTimestamp();
            }

            return _keys;
        }
    }

    private void Check(KeyFolder folder)
    {
        try
        {
            var files = new Dictionary<string, (string Stamp, DkimSigningKey? Key)>(StringComparer.Ordinal);
            var hasChanged = false;
            foreach (var file in folder.Find())
            {
                var before = _files.GetValueOrDefault(file.Path);
                hasChanged |= before.Stamp != file.Stamp;
                files[file.Path] = (file.Stamp, before.Stamp == file.Stamp ? before.Key : Read(file) ?? before.Key);
            }

            if (!hasChanged && files.Count == _files.Count)
                return;
            _files = files;
            _keys = files.Values.Select(file => file.Key).OfType<DkimSigningKey>().GroupBy(key => key.Domain, StringComparer.Ordinal)
                .ToFrozenDictionary(
                    group => group.Key, group => group.DistinctBy(key => key.Selector).OrderBy(key => key.Kind).ThenBy(key => key.Selector, StringComparer.Ordinal).ToArray(),
                    StringComparer.Ordinal);
            LogRead(log, folder.Path, files.Count, _keys.Count);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            LogUnreadableFolder(log, folder.Path, failure.Message);
        }
    }

    private DkimSigningKey? Read(KeyFile file)
    {
        try
        {
            return file.Read();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or CryptographicException)
        {
            LogUnreadable(log, file.Path, failure.Message);
            return null;
        }
    }

    [LoggerMessage(10001, LogLevel.Information, "DKIM keys read from {Path}: {Count} of {Domains} domains")]
    private static partial void LogRead(ILogger log, string path, int count, int domains);

    [LoggerMessage(10002, LogLevel.Error, "The DKIM key {Path} cannot be used: {Reason}")]
    private static partial void LogUnreadable(ILogger log, string path, string reason);

    [LoggerMessage(10003, LogLevel.Error, "The folder of DKIM keys {Path} cannot be read: {Reason}")]
    private static partial void LogUnreadableFolder(ILogger log, string path, string reason);

    [LoggerMessage(10004, LogLevel.Warning, "Mail of {Domain} is not signed: there is no DKIM key for it ('mail dkim create {Domain}' makes one); said once")]
    private static partial void LogUnsigned(ILogger log, string domain);
}
