using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Queue.Events;

/// <summary>The signature of a post by the convention of Standard Webhooks: HMAC-SHA256 (RFC 2104) over id, time and body, in base64 behind "v1,".</summary>
internal static class WebhookSignature
{
    /// <summary>One for each secret, with a space between: a receiver takes any that is right by a secret of his.</summary>
    public static string Of(string id, DateTimeOffset sentAt, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> secrets)
    {
        var head = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{Timestamp(sentAt)}."));
        byte[] signed = [.. head, .. body];
        return string.Join(' ', secrets.Select(secret => "v1," + Convert.ToBase64String(HMACSHA256.HashData(secret, signed))));
    }

    public static string Timestamp(DateTimeOffset sentAt) => sentAt.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
}
