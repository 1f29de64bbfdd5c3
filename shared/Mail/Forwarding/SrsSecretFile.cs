using System.Text;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Mail;

/// <summary>
/// The secrets that rewritten senders are signed with, as a file has them. It is read again when it has changed; one that cannot be used is logged once,
/// and the secrets that were read before stay. Safe to ask from any thread; asking is cheap.
/// </summary>
internal sealed partial class SrsSecretFile(string path, TimeSpan checkInterval, TimeProvider time, ILogger log)
{
    /// <summary>A secret that is shorter can be guessed.</summary>
    public const int LeastBytes = 16;

    /// <summary>Each one more costs each forged address a digest.</summary>
    public const int MaxSecrets = 10;

    private const int MaxFileBytes = 64 * 1024;

    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly Lock _gate = new();
    private IReadOnlyList<byte[]> _secrets = [];
    private string _complaint = "";
    private long? _checkedAt;

    /// <summary>The first one signs, all verify; empty while none could be read.</summary>
    public IReadOnlyList<byte[]> Current
    {
        get
        {
            lock (_gate)
            {
                if (_checkedAt is not { } last || time.GetElapsedTime(last) >= checkInterval)
                {
                    Check();
                    _checkedAt = time.GetTimestamp();
                }

                return _secrets;
            }
        }
    }

    /// <exception cref="FormatException">It has no secret, too many, or one that is too short.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static IReadOnlyList<byte[]> Read(string path)
    {
        if (new FileInfo(path) is { Exists: true, Length: > MaxFileBytes })
            throw new FormatException($"it is longer than {MaxFileBytes} octets");
        var lines = File.ReadAllText(path, s_strict).Split('\n');
        var secrets = new List<byte[]>();
        for (var i = 0; i < lines.Length; i++)
        {
            var line = lines[i].Trim();
            if (line.Length == 0 || line[0] == '#')
                continue;
            var secret = Encoding.UTF8.GetBytes(line);
            if (secret.Length < LeastBytes)
                throw new FormatException($"the secret in line {i + 1} has {secret.Length} octets; it must have {LeastBytes} or more");
            secrets.Add(secret);
        }

        return secrets.Count is > 0 and <= MaxSecrets
            ? secrets : throw new FormatException($"it has {secrets.Count} secrets; it must have 1 to {MaxSecrets}, one a line");
    }

    private void Check()
    {
        try
        {
            _secrets = Read(path);
            _complaint = "";
        }
        catch (Exception unfit) when (unfit is IOException or UnauthorizedAccessException or FormatException or DecoderFallbackException)
        {
            if (_complaint != unfit.Message)
                LogUnfit(log, path, unfit.Message);
            _complaint = unfit.Message;
        }
    }

    [LoggerMessage(9010, LogLevel.Error, "The file of SRS secrets {Path} cannot be used: {Reason}")]
    private static partial void LogUnfit(ILogger log, string path, string reason);
}
