using System.Net;
using System.Net.Sockets;

namespace MailPipeline.Delivery.Smtp;

/// <summary>How a race for the addresses of one host ended.</summary>
/// <param name="Winner">The address that was connected to, and its connection; null: none was.</param>
/// <param name="Failed">Addresses that could not be connected to. One that only lost is not among them.</param>
internal sealed record RaceResult<T>((IPAddress Address, T Connection)? Winner, IReadOnlyList<(IPAddress Address, SmtpConnectionException Error)> Failed);

/// <summary>
/// "Happy eyeballs" (RFC 8305): the addresses of one host are tried in an order in which IPv4 and IPv6 take turns, the next when the one before it has had no
/// answer for a short while, and the first that is connected wins. What has lost is cancelled before a word is spoken, and has gone before this returns.
/// Pure: it knows no sockets.
/// </summary>
internal static class AddressRace
{
    /// <summary>RFC 8305 §4: each kind in its own order; the kind of the first address comes first.</summary>
    public static IReadOnlyList<IPAddress> Interleave(IReadOnlyList<IPAddress> addresses)
    {
        if (addresses.Count < 2 || addresses.All(address => address.AddressFamily == addresses[0].AddressFamily))
            return addresses;
        var kinds = addresses.GroupBy(address => address.AddressFamily).Select(kind => new Queue<IPAddress>(kind)).ToList();
        var ordered = new List<IPAddress>(addresses.Count);
        for (var i = 0; ordered.Count < addresses.Count; i++)
        {
            if (kinds[i % kinds.Count].TryDequeue(out var next))
                ordered.Add(next);
        }

        return ordered;
    }

    /// <summary>All that have been begun go on until one wins.</summary>
    /// <param name="openAsync">Throws <see cref="SmtpConnectionException"/> where the address cannot be connected to.</param>
    /// <param name="delay">RFC 8305 §5, the Connection Attempt Delay. After a failure nobody waits for it.</param>
    /// <param name="discard">Closes what was connected too late.</param>
    public static async Task<RaceResult<T>> RunAsync<T>(
        IReadOnlyList<IPAddress> addresses, Func<IPAddress, CancellationToken, Task<T>> openAsync, TimeSpan delay, Action<T> discard, TimeProvider time)
    {
        using var over = new CancellationTokenSource();
        var running = new List<(IPAddress Address, Task<T> Opening)>();
        var failed = new List<(IPAddress, SmtpConnectionException)>();
        var next = 0;
        try
        {
            while (next < addresses.Count || running.Count > 0)
            {
                if (next < addresses.Count)
                {
                    running.Add((addresses[next], openAsync(addresses[next], over.Token)));
                    next++;
                }

                if (await FirstAsync(running.Select(one => one.Opening), next < addresses.Count ? delay : null, time) is not { } ended)
                    continue;
                var index = running.FindIndex(one => one.Opening == ended);
                var address = running[index].Address;
                running.RemoveAt(index);
                try
                {
                    return new RaceResult<T>((address, await ended), failed);
                }
                catch (SmtpConnectionException error)
                {
                    failed.Add((address, error));
                }

                // Nothing is left to be begun: the others are waited for, and none is begun a second time.
            }

            return new RaceResult<T>(null, failed);
        }
        finally
        {
            await over.CancelAsync();
            foreach (var (_, opening) in running)
            {
                await ((Task)opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (opening.IsCompletedSuccessfully)
                    discard(await opening);
            }
        }
    }

    /// <summary>
    /// The same where there may not be two connections, not even for a moment. Who has had no answer for the delay is given up before the next is tried: the
    /// system then takes no answer any more that is still on its way, so that the far end never has a connection of it. When none has answered in so short a
    /// time, each is tried once more, for as long as it takes.
    /// </summary>
    public static async Task<RaceResult<T>> RunOneByOneAsync<T>(
        IReadOnlyList<IPAddress> addresses, Func<IPAddress, CancellationToken, Task<T>> openAsync, TimeSpan delay, TimeProvider time)
    {
        var failed = new List<(IPAddress, SmtpConnectionException)>();
        var slow = new List<IPAddress>();
        foreach (var address in addresses)
        {
            using var late = new CancellationTokenSource(delay, time);
            try
            {
                return new RaceResult<T>((address, await openAsync(address, late.Token)), failed);
            }
            catch (OperationCanceledException) when (late.IsCancellationRequested)
            {
                slow.Add(address);
            }
            catch (SmtpConnectionException error)
            {
                failed.Add((address, error));
            }
        }

        foreach (var address in slow)
        {
            try
            {
                return new RaceResult<T>((address, await openAsync(address, CancellationToken.None)), failed);
            }
            catch (SmtpConnectionException error)
            {
                failed.Add((address, error));
            }
        }

        return new RaceResult<T>(null, failed);
    }

    /// <summary>The first that ends; null: none has in the time.</summary>
    private static async Task<Task<T>?> FirstAsync<T>(IEnumerable<Task<T>> running, TimeSpan? time, TimeProvider clock)
    {
        var first = Task.WhenAny(running);
        if (time is not { } limit)
            return await first;
        using var ended = new CancellationTokenSource();
        var pause = Task.Delay(limit, clock, ended.Token);
        if (await Task.WhenAny(first, pause) == pause && !first.IsCompleted)
            return null;
        await ended.CancelAsync();
        return await first;
    }
}
