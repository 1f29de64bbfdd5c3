using System.Text;

namespace MailPipeline.Queue;

/// <summary>The keys of a webhook, as settings or a file have them. Nothing of them is ever shown.</summary>
internal static class WebhookSecret
{
    private const int LeastBytes = 24;

    private const int MostBytes = 64;

    /// <summary>Each one more makes each post longer; two are there while one takes the place of the other.</summary>
    private const int MostSecrets = 4;

    private const int MaxFileBytes = 16 * 1024;

    private const string Prefix = "whsec_";

    /// <summary>The keys of the moment, each of which signs.</summary>
    /// <exception cref="FormatException">There is none, too many, or one that is none.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static IReadOnlyList<byte[]> Read(WebhookOptions options)
    {
        if (options.SecretFile.Length == 0)
            return Parse(options.Secret.Split(' '));
        if (new FileInfo(options.SecretFile) is { Exists: true, Length: > MaxFileBytes })
            throw new FormatException($"it is longer than {MaxFileBytes} octets");
        return Parse(File.ReadAllText(options.SecretFile, Encoding.ASCII).Split('\n').Where(line => !line.TrimStart().StartsWith('#')));
    }

    /// <summary>Null: all is well.</summary>
    public static string? FaultOf(WebhookOptions options)
    {
        try
        {
            Read(options);
            return null;
        }
        catch (Exception unfit) when (unfit is FormatException or IOException or UnauthorizedAccessException)
        {
            return unfit.Message;
        }
    }

    private static List<byte[]> Parse(IEnumerable<string> texts)
    {
        var secrets = new List<byte[]>();
        foreach (var text in texts.Select(text => text.Trim()).Where(text => text.Length > 0))
        {
            var secret = new byte[text.Length];
            if (!Convert.TryFromBase64String(text.StartsWith(Prefix, StringComparison.Ordinal) ? text[Prefix.Length..] : text, secret, out var length)
                || length is < LeastBytes or > MostBytes)
            {
                throw new FormatException($"a secret must be {LeastBytes} to {MostBytes} octets in base64, such as 'openssl rand -base64 32' makes");
            }

            secrets.Add(secret[..length]);
        }

        return secrets.Count is > 0 and <= MostSecrets ? secrets : throw new FormatException($"there are {secrets.Count} secrets; there must be 1 to {MostSecrets}");
    }
}
