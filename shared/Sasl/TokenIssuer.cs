using System.Buffers;
using System.Text.Json;

namespace MailPipeline.Sasl;

/// <summary>Whose tokens are taken, as a client is told that comes without a right one: with that it can get one.</summary>
/// <param name="ConfigurationAddress">Of the issuer's metadata (OpenID Connect Discovery 1.0 §4).</param>
/// <param name="Scope">That a token must have; empty: any will do.</param>
public sealed record TokenIssuer(string ConfigurationAddress, string Scope)
{
    /// <summary>RFC 7628 §3.2.2.</summary>
    internal byte[] BearerFailure() => Write(failure =>
    {
        failure.WriteString("status", "invalid_token");
        if (Scope.Length > 0)
            failure.WriteString("scope", Scope);
        failure.WriteString("openid-configuration", ConfigurationAddress);
    });

    /// <summary>As Google and Microsoft write it for XOAUTH2.</summary>
    internal byte[] XOAuth2Failure() => Write(failure =>
    {
        failure.WriteString("status", "401");
        failure.WriteString("schemes", "Bearer");
        if (Scope.Length > 0)
            failure.WriteString("scope", Scope);
    });

    private static byte[] Write(Action<Utf8JsonWriter> members)
    {
        var json = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(json);
        writer.WriteStartObject();
        members(writer);
        writer.WriteEndObject();
        writer.Flush();
        return json.WrittenSpan.ToArray();
    }
}
