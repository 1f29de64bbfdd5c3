using System.Net.Security;
using System.Security.Authentication;

namespace MailPipeline.LineServer;

/// <summary>What both ends of a connection have agreed on.</summary>
public readonly record struct TlsParameters(SslProtocols Protocol, TlsCipherSuite Cipher)
{
    /// <summary>As most programs write it: "TLSv1.3".</summary>
    public string Version => Protocol.ToString() is ['T', 'l', 's', var major, ..] name ? $"TLSv{major}{(name.Length > 4 ? $".{name[4..]}" : "")}" : Protocol.ToString();

    /// <summary>Of the key of its cipher; 0 where its name does not say it.</summary>
    public int KeyBits => Cipher.ToString() switch
    {
        var name when name.Contains("_256_", StringComparison.Ordinal) || name.Contains("CHACHA20", StringComparison.Ordinal) => 256,
        var name when name.Contains("_128_", StringComparison.Ordinal) => 128,
        _ => 0,
    };
}
