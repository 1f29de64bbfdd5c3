using System.Net;

namespace MailPipeline.Storage;

/// <summary>
/// Whose password is stretched next. It costs tens of milliseconds of CPU by design, and strangers ask for it as often as they like: so
/// the work is bounded in number, network prefixes take turns, who has logged in lately goes first, the work of a client that has left
/// is never done, and that of one that has closed its side, and may have left, comes last and makes room for others.
/// </summary>
/// <param name="workers">Passwords stretched at once.</param>
/// <param name="capacity">Most that wait, together.</param>
/// <param name="capacityOfPrefix">Most that wait from one network prefix.</param>
internal sealed class LoginTurns(int workers, int capacity, int capacityOfPrefix)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Turn> _preferred = [];

    /// <summary>Of clients that have closed their side.</summary>
    private readonly LinkedList<Turn> _closed = [];

    private readonly Dictionary<IPNetwork, LinkedList<Turn>> _byPrefix = [];

    /// <summary>Those that have somebody waiting, in the order of their turns.</summary>
    private readonly LinkedList<IPNetwork> _prefixes = [];

    private int _running;
    private int _waiting;

    /// <summary>Those that wait.</summary>
    public int Waiting
    {
        get
        {
            lock (_lock)
                return _waiting;
        }
    }

    /// <summary>Does the work when it is its turn; null when too many wait already.</summary>
    /// <param name="isPreferred">Goes before all that are not.</param>
    /// <param name="closed">Cancelled when the client has closed its side.</param>
    /// <param name="left">Cancelled when the client has left.</param>
    /// <exception cref="OperationCanceledException">The client has left while it waited.</exception>
    public async Task<T?> RunAsync<T>(IPNetwork prefix, bool isPreferred, Func<T> work, CancellationToken closed, CancellationToken left)
        where T : struct
    {
        if (!await TakeAsync(prefix, isPreferred, closed, left))
            return null;
        try
        {
            return await Task.Run(work, CancellationToken.None);
        }
        finally
        {
            PassOn();
        }
    }

    private async Task<bool> TakeAsync(IPNetwork prefix, bool isPreferred, CancellationToken closed, CancellationToken left)
    {
        left.ThrowIfCancellationRequested();
        LinkedListNode<Turn> turn;
        lock (_lock)
        {
            if (_running < workers)
            {
                _running++;
                return true;
            }

            var queue = isPreferred ? _preferred : _byPrefix.GetValueOrDefault(prefix);
            if (!isPreferred && queue?.Count >= capacityOfPrefix)
                return false;
            if (_waiting >= capacity)
            {
                if (_closed.First is not { } last)
                    return false;
                Remove(last);
                last.Value.Come.SetResult(false);
            }

            if (queue is null)
            {
                queue = _byPrefix[prefix] = [];
                _prefixes.AddLast(prefix);
            }

            turn = queue.AddLast(new Turn(prefix));
            _waiting++;
        }

        using var leaving = left.UnsafeRegister(_ => Leave(turn, left), null);
        using var closing = closed.UnsafeRegister(_ => ComeLast(turn), null);
        return await turn.Value.Come.Task;
    }

    private void ComeLast(LinkedListNode<Turn> turn)
    {
        lock (_lock)
        {
            if (turn.List is null)
                return;
            Remove(turn);
            _closed.AddLast(turn);
            _waiting++;
        }
    }

    private void PassOn()
    {
        lock (_lock)
        {
            if (_preferred.First is { } first)
                Give(first);
            else if (_prefixes.First is { } prefix)
                GiveTo(prefix);
            else if (_closed.First is { } last)
                Give(last);
            else
                _running--;
        }
    }

    private void GiveTo(LinkedListNode<IPNetwork> prefix)
    {
        var turn = _byPrefix[prefix.Value].First!;
        _prefixes.Remove(prefix);
        if (_byPrefix[prefix.Value].Count > 1)
            _prefixes.AddLast(prefix);
        Give(turn);
    }

    private void Give(LinkedListNode<Turn> turn)
    {
        Remove(turn);
        turn.Value.Come.SetResult(true);
    }

    private void Leave(LinkedListNode<Turn> turn, CancellationToken left)
    {
        lock (_lock)
        {
            if (turn.List is null)
                return;
            Remove(turn);
        }

        turn.Value.Come.SetCanceled(left);
    }

    private void Remove(LinkedListNode<Turn> turn)
    {
        turn.List!.Remove(turn);
        _waiting--;
        if (!_byPrefix.TryGetValue(turn.Value.Prefix, out var queue) || queue.Count > 0)
            return;
        _byPrefix.Remove(turn.Value.Prefix);
        _prefixes.Remove(turn.Value.Prefix);
    }

    private sealed class Turn(IPNetwork prefix)
    {
        public IPNetwork Prefix => prefix;

        /// <summary>True when it is its turn; false when it has made room for another.</summary>
        public TaskCompletionSource<bool> Come { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
