using MailPipeline.Contracts;

namespace MailPipeline.Queue;

/// <summary>
/// Whether hand-outs of a route have anywhere to go, as this process knows it: somebody consumes them, and the bus takes them. While
/// they have not, what is due waits in storage and its queues are not woken; an hour of it costs no more than a second.
/// </summary>
internal sealed class HandOutGate
{
    private readonly Lock _lock = new();
    private readonly HashSet<RecipientRoute> _withoutConsumers = [];
    private readonly HashSet<RecipientRoute> _notTaken = [];
    private TaskCompletionSource _opening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile int _openings;

    /// <summary>How often a route was opened again: what was paused for want of workers before need not wait for its time.</summary>
    public int Openings => _openings;

    /// <summary>Completes when a route is opened again, or has been since there were so many openings.</summary>
    public Task OpeningAfter(int openings)
    {
        lock (_lock)
            return _openings > openings ? Task.CompletedTask : _opening.Task;
    }

    /// <summary>The bus did not take a hand-out, and has not proved since that it takes any.</summary>
    public bool WaitsForBus
    {
        get
        {
            lock (_lock)
                return _notTaken.Count > 0;
        }
    }

    public bool IsOpen(RecipientRoute route)
    {
        lock (_lock)
            return IsOpenNow(route);
    }

    /// <param name="count">Null: unknown. Then it is for the bus to take hand-outs, and for the queue to miss those that nobody claims.</param>
    /// <returns>True: whether there are any has changed.</returns>
    public bool NoteConsumers(RecipientRoute route, int? count)
    {
        lock (_lock)
        {
            if (count == 0)
                return _withoutConsumers.Add(route);
            if (!_withoutConsumers.Remove(route))
                return false;
            NoteOpened(route);
            return true;
        }
    }

    public void NoteNotTaken(RecipientRoute route)
    {
        lock (_lock)
            _notTaken.Add(route);
    }

    public void NoteTaken()
    {
        lock (_lock)
        {
            var routes = _notTaken.ToArray();
            _notTaken.Clear();
            foreach (var route in routes)
                NoteOpened(route);
        }
    }

    private bool IsOpenNow(RecipientRoute route) => !_withoutConsumers.Contains(route) && !_notTaken.Contains(route);

    private void NoteOpened(RecipientRoute route)
    {
        if (!IsOpenNow(route))
            return;
        _openings++;
        var opening = _opening;
        _opening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        opening.SetResult();
    }
}
