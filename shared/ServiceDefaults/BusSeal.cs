using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Hosting;

namespace MailPipeline.ServiceDefaults;

/// <summary>Where the key of the bus comes from: the store, which whoever has the broker alone cannot read.</summary>
public sealed record BusKeySource(Func<CancellationToken, Task<byte[]>> ReadAsync);

/// <summary>
/// The proof that a message on the broker was sent by a service of this store to this endpoint: HMAC-SHA256 (RFC 2104) over its bytes,
/// in a header. A message can be repeated under it, which changes nothing; it cannot be made or changed.
/// </summary>
internal sealed class BusSeal(BusKeySource source) : IHostedLifecycleService
{
    public const string Header = "Mail-Seal";

    private readonly ConcurrentDictionary<string, byte[]> _keys = new(StringComparer.Ordinal);
    private byte[]? _key;

    public string For(string endpoint, ReadOnlySpan<byte> body)
    {
        Span<byte> seal = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(KeyOf(endpoint), body, seal);
        return Convert.ToBase64String(seal);
    }

    public bool IsValid(string? seal, string endpoint, ReadOnlySpan<byte> body)
    {
        Span<byte> given = stackalloc byte[HMACSHA256.HashSizeInBytes];
        if (seal is null || !Convert.TryFromBase64String(seal, given, out var length) || length != given.Length)
            return false;
        Span<byte> right = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(KeyOf(endpoint), body, right);
        return CryptographicOperations.FixedTimeEquals(given, right);
    }

    public static string EndpointOf(Uri? address) => address?.AbsolutePath.Split('/')[^1] ?? "";

    /// <summary>Before the bus starts, and after the store is open.</summary>
    public async Task StartingAsync(CancellationToken cancellationToken) => _key = await source.ReadAsync(cancellationToken);

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>One for each endpoint, so that what was sent to one is nothing to another.</summary>
    private byte[] KeyOf(string endpoint)
    {
        if (_keys.TryGetValue(endpoint, out var known))
            return known;
        var key = HMACSHA256.HashData(
            _key ?? throw new InvalidOperationException("The key of the bus is not read yet"), Encoding.UTF8.GetBytes(endpoint));
        return _keys.GetOrAdd(endpoint, key);
    }
}
