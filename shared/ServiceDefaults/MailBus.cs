using System.Collections.Concurrent;
using MassTransit;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Sends to a named endpoint, with a bound on the time it may take: a broker that is away, or that blocks publishers under
/// a memory or disk alarm, otherwise keeps the caller waiting without an error. A send that fails may be given up, since
/// storage knows all that the bus carries.
/// </summary>
public sealed class MailBus(IBus bus, TimeProvider time)
{
    // Well above a busy broker's confirm, well below a claim's lease of 15 s.
    private static readonly TimeSpan SendTimeout = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, ISendEndpoint> _endpoints = new(StringComparer.Ordinal);

    /// <param name="endpoint">Its name, which is that of a queue.</param>
    /// <exception cref="BusUnavailableException">The transport did not take the message in time, or refused it.</exception>
    public Task SendAsync<T>(string endpoint, T message, CancellationToken cancellation)
        where T : class => SendAsync(endpoint, message, Timeout.InfiniteTimeSpan, cancellation);

    /// <summary>Sends to an endpoint that goes with its process (<see cref="BusAnswers"/>).</summary>
    /// <exception cref="BusUnavailableException">The transport did not take the message in time, or the endpoint is gone.</exception>
    public Task AnswerAsync<T>(string endpoint, T message, CancellationToken cancellation)
        where T : class => SendToProcessAsync(endpoint, message, Timeout.InfiniteTimeSpan, cancellation);

    /// <summary>Sends to an endpoint that goes with its process, to be taken in time.</summary>
    /// <exception cref="BusUnavailableException">The transport did not take the message in time, or the endpoint is gone.</exception>
    public Task SendToProcessAsync<T>(string endpoint, T message, TimeSpan timeToLive, CancellationToken cancellation)
        where T : class => SendAsync($"{endpoint}?temporary=true", message, timeToLive, cancellation);

    /// <param name="endpoint">Its name, which is that of a queue.</param>
    /// <param name="timeToLive">RabbitMQ drops the message when nobody has taken it by then; in memory it stays.</param>
    /// <exception cref="BusUnavailableException">The transport did not take the message in time, or refused it.</exception>
    public async Task SendAsync<T>(string endpoint, T message, TimeSpan timeToLive, CancellationToken cancellation)
        where T : class
    {
        using var timeout = new CancellationTokenSource(SendTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, timeout.Token);
        try
        {
            if (!_endpoints.TryGetValue(endpoint, out var target))
            {
                // "exchange:", not "queue:": the latter would declare the queue anew, without the arguments its consumer gave it.
                target = await bus.GetSendEndpoint(new Uri($"exchange:{endpoint}")).WaitAsync(either.Token);
                target = _endpoints.GetOrAdd(endpoint, target);
            }
            var sending = timeToLive == Timeout.InfiniteTimeSpan
                ? target.Send(message, either.Token)
                : target.Send(message, context => context.TimeToLive = timeToLive, either.Token);
            await sending.WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            throw new BusUnavailableException($"The bus did not take a message for '{endpoint}' within {SendTimeout.TotalSeconds:0} s");
        }
        // A bus that stops cancels what it is asked.
        catch (Exception refused) when (refused is not OperationCanceledException || !cancellation.IsCancellationRequested)
        {
            throw new BusUnavailableException($"The bus refused a message for '{endpoint}'", refused);
        }
    }
}

/// <summary>The bus did not take a message. Whether it is delivered all the same is unknown.</summary>
public sealed class BusUnavailableException(string message, Exception? inner = null) : Exception(message, inner);
