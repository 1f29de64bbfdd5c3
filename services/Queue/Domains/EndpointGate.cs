using MailPipeline.Contracts;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Whether batches to an endpoint have anywhere to go, as this process knows it: somebody consumes it, and the bus takes them. While
/// they have not, what is due waits in storage and its queues are not woken; an hour of it costs no more than a second. What becomes of
/// one endpoint says nothing of the others.
/// </summary>
internal sealed class EndpointGate
{
    /// <summary>The endpoints of batches.</summary>
    public static readonly string[] Endpoints = [BusEndpoints.Deliver, BusEndpoints.DeliverRetry, BusEndpoints.Store];

    private readonly Lock _lock = new();
    private readonly HashSet<string> _withoutConsumers = [];
    private readonly HashSet<string> _notTaken = [];

    /// <summary>How many openings there were with the last one of each endpoint.</summary>
    private readonly Dictionary<string, int> _openedAt = [];

    private TaskCompletionSource _opening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile int _openings;

    /// <summary>How often an endpoint was opened again.</summary>
    public int Openings => _openings;

    /// <summary>Endpoints opened again since there were so many openings: what was paused for want of their workers need not wait for its time.</summary>
    public IReadOnlyList<string> OpenedAfter(int openings)
    {
        lock (_lock)
            return [.. _openedAt.Where(opened => opened.Value > openings).Select(opened => opened.Key)];
    }

    /// <summary>Completes when an endpoint is opened again, or has been since there were so many openings.</summary>
    public Task OpeningAfter(int openings)
    {
        lock (_lock)
            return _openings > openings ? Task.CompletedTask : _opening.Task;
    }

    /// <summary>The bus did not take a batch, and has not proved since that it takes any.</summary>
    public bool WaitsForBus
    {
        get
        {
            lock (_lock)
                return _notTaken.Count > 0;
        }
    }

    public bool IsOpen(string endpoint)
    {
        lock (_lock)
            return IsOpenNow(endpoint);
    }

    /// <summary>Endpoints that are closed, in order of their names, and whether it is for the bus that they are.</summary>
    public IReadOnlyList<(string Endpoint, bool BusRefuses)> Closed
    {
        get
        {
            lock (_lock)
                return [.. Endpoints.Order(StringComparer.Ordinal).Where(endpoint => !IsOpenNow(endpoint)).Select(endpoint => (endpoint, !_withoutConsumers.Contains(endpoint)))];
        }
    }

    /// <param name="count">Null: unknown. Then it is for the bus to take batches, and for the queue to miss those that nobody claims.</param>
    /// <returns>True: whether there are any has changed.</returns>
    public bool NoteConsumers(string endpoint, int? count)
    {
        lock (_lock)
        {
            if (count == 0)
                return _withoutConsumers.Add(endpoint);
            if (!_withoutConsumers.Remove(endpoint))
                return false;
            NoteOpened(endpoint);
            return true;
        }
    }

    public void NoteNotTaken(string endpoint)
    {
        lock (_lock)
            _notTaken.Add(endpoint);
    }

    public void NoteTaken()
    {
        lock (_lock)
        {
            var endpoints = _notTaken.ToArray();
            _notTaken.Clear();
            foreach (var endpoint in endpoints)
                NoteOpened(endpoint);
        }
    }

    private bool IsOpenNow(string endpoint) => !_withoutConsumers.Contains(endpoint) && !_notTaken.Contains(endpoint);

    private void NoteOpened(string endpoint)
    {
        if (!IsOpenNow(endpoint))
            return;
        _openedAt[endpoint] = ++_openings;
        var opening = _opening;
        _opening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        opening.SetResult();
    }
}
