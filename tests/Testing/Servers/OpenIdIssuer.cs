using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Testing;

/// <summary>
/// An OpenID Connect issuer by plain http on this machine: its metadata, its keys, and tokens of it, which are made here by hand so that
/// they can be wrong in any way. It can be away, silent, or send what is none.
/// </summary>
public sealed class OpenIdIssuer : IAsyncDisposable
{
    private readonly TimeProvider _time;
    private readonly List<IssuerKey> _keys = [];
    private readonly int _port = FreePorts.Next();
    private WebApplication? _app;
    private TaskCompletionSource? _silence;
    private int _fetches;

    public OpenIdIssuer(TimeProvider? time = null) => _time = time ?? TimeProvider.System;

    /// <summary>Its name, as tokens have it.</summary>
    public string Address => $"http://127.0.0.1:{_port}/realms/mail";

    /// <summary>How often the metadata were asked for.</summary>
    public int Fetches => _fetches;

    /// <summary>What the metadata are, where they are not what they should be.</summary>
    public string? Metadata { get; set; }

    /// <summary>What the set of keys is, where it is not <see cref="Add"/>ed.</summary>
    public string? KeySet { get; set; }

    /// <summary>Instead of the metadata, where to look for them.</summary>
    public string? Redirect { get; set; }

    public static async Task<OpenIdIssuer> StartAsync(TimeProvider? time = null)
    {
        var issuer = new OpenIdIssuer(time);
        issuer.Add(IssuerKey.Rsa("rsa-1"));
        await issuer.StartAsync();
        return issuer;
    }

    /// <summary>It is there, or there again, at the same address.</summary>
    public async Task StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, _port));
        _app = builder.Build();
        _app.MapGet("/realms/mail/.well-known/openid-configuration", async (HttpContext context) =>
        {
            Interlocked.Increment(ref _fetches);
            if (_silence is { } silence)
                await silence.Task.WaitAsync(context.RequestAborted);
            if (Redirect is { } redirect)
                return Results.Redirect(redirect);
            return Results.Text(Metadata ?? new JsonObject { ["issuer"] = Address, ["jwks_uri"] = $"{Address}/keys" }.ToJsonString(), "application/json");
        });
        _app.MapGet("/realms/mail/keys", () => Results.Text(KeySet ?? Published(), "application/json"));
        await _app.StartAsync();
    }

    /// <summary>Nobody answers at its address.</summary>
    public async Task StopAsync()
    {
        if (_app is not { } app)
            return;
        _app = null;
        Speak();
        await app.StopAsync();
        await app.DisposeAsync();
    }

    /// <summary>It takes requests and does not answer, until <see cref="Speak"/>.</summary>
    public void FallSilent() => _silence = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Speak()
    {
        _silence?.TrySetResult();
        _silence = null;
    }

    /// <summary>Signs by this one from now on, and publishes it.</summary>
    public IssuerKey Add(IssuerKey key)
    {
        lock (_keys)
            _keys.Insert(0, key);
        return key;
    }

    /// <summary>Publishes this one no longer.</summary>
    public void Withdraw(IssuerKey key)
    {
        lock (_keys)
            _keys.Remove(key);
    }

    public IssuerKey Key => Keys[0];

    /// <summary>Those that are published, the newest first.</summary>
    public IReadOnlyList<IssuerKey> Keys
    {
        get
        {
            lock (_keys)
                return [.. _keys];
        }
    }

    /// <summary>A token of the user for "mail", for five minutes from now.</summary>
    /// <param name="change">What is different in its claims.</param>
    /// <param name="header">The same of its header.</param>
    /// <param name="key">By which it is signed; null: the newest.</param>
    public string Token(string user, Action<JsonObject>? change = null, Action<JsonObject>? header = null, IssuerKey? key = null)
    {
        key ??= Key;
        var now = _time.GetUtcNow().ToUnixTimeSeconds();
        var head = new JsonObject { ["alg"] = key.Algorithm, ["typ"] = "at+jwt", ["kid"] = key.Id };
        header?.Invoke(head);
        var claims = new JsonObject
        {
            ["iss"] = Address, ["sub"] = "7", ["aud"] = "mail", ["iat"] = now, ["nbf"] = now, ["exp"] = now + 300,
            ["email"] = user, ["email_verified"] = true, ["scope"] = "openid mail.login",
        };
        change?.Invoke(claims);
        var signed = $"{Encode(head)}.{Encode(claims)}";
        return $"{signed}.{Base64Url.EncodeToString(key.Sign(Encoding.ASCII.GetBytes(signed)))}";
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    private string Published() => new JsonObject { ["keys"] = new JsonArray([.. Keys.Select(key => key.Public())]) }.ToJsonString();

    private static string Encode(JsonObject part) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(part.ToJsonString()));
}

/// <summary>A key by which tokens are signed.</summary>
/// <param name="Id">Its "kid".</param>
public sealed record IssuerKey(string Id, AsymmetricAlgorithm Key, string Algorithm)
{
    public static IssuerKey Rsa(string id, string algorithm = "RS256", int bits = 2048) => new(id, RSA.Create(bits), algorithm);

    public static IssuerKey Ec(string id) => new(id, ECDsa.Create(ECCurve.NamedCurves.nistP256), "ES256");

    public byte[] Sign(byte[] octets) => Key switch
    {
        RSA rsa => rsa.SignData(octets, HashAlgorithmName.SHA256, Algorithm.StartsWith("PS", StringComparison.Ordinal) ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1),
        ECDsa ec => ec.SignData(octets, HashAlgorithmName.SHA256),
        _ => throw new NotSupportedException(),
    };

    /// <summary>RFC 7518 §6.</summary>
    public JsonObject Public()
    {
        if (Key is ECDsa ec)
        {
            var point = ec.ExportParameters(false).Q;
            return new JsonObject { ["kty"] = "EC", ["use"] = "sig", ["kid"] = Id, ["crv"] = "P-256", ["x"] = Base64Url.EncodeToString(point.X), ["y"] = Base64Url.EncodeToString(point.Y) };
        }

        var numbers = ((RSA)Key).ExportParameters(false);
        return new JsonObject { ["kty"] = "RSA", ["use"] = "sig", ["kid"] = Id, ["n"] = Base64Url.EncodeToString(numbers.Modulus), ["e"] = Base64Url.EncodeToString(numbers.Exponent) };
    }
}
