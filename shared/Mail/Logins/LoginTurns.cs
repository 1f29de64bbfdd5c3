using System.Net;

namespace MailPipeline.Mail;

/// <summary>
/// Whose password is stretched next. It costs tens of milliseconds of CPU by design, and strangers ask for it as often as they like: so
/// the work is bounded in number, network prefixes take turns, who has logged in lately has three turns of four, the work of a client
/// that has left is never done, and that of one that has closed its side, and may have left, comes last and makes room for others. Where
/// all places are taken, prefixes whose last login failed make room for those that have not failed, all of these for who has logged in
/// lately, and a wide network (<see cref="LoginNetwork"/>) that has more places than another for that other.
/// </summary>
/// <param name="workers">Passwords stretched at once.</param>
/// <param name="capacity">Most that wait, together.</param>
/// <param name="capacityOfPrefix">Most that wait from one network prefix: of the preferred, and of the others.</param>
/// <param name="hasFailed">The last login from there failed.</param>
internal sealed class LoginTurns(int workers, int capacity, int capacityOfPrefix, Predicate<IPNetwork> hasFailed)
{
    /// <summary>Turns of the preferred while others wait.</summary>
    private const int PreferredInARow = 3;

    private readonly Lock _lock = new();
    private readonly LoginQueues _preferred = new();
    private readonly LoginQueues _others = new();

    /// <summary>Of clients that have closed their side.</summary>
    private readonly LinkedList<LoginTurn> _closed = [];

    private int _running;
    private int _inARow;

    /// <summary>Those that wait.</summary>
    public int Waiting
    {
        get
        {
            lock (_lock)
                return _preferred.Count + _others.Count + _closed.Count;
        }
    }

    /// <summary>Does the work when it is its turn; null when too many wait already, or it has made room for another.</summary>
    /// <param name="isPreferred">Goes before those that are not, three times of four.</param>
    /// <param name="closed">Cancelled when the client has closed its side.</param>
    /// <param name="left">Cancelled when the client has left.</param>
    /// <exception cref="OperationCanceledException">The client has left while it waited.</exception>
    public async Task<T?> RunAsync<T>(IPNetwork prefix, bool isPreferred, Func<Task<T>> work, CancellationToken closed, CancellationToken left)
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
        var turn = new LoginTurn(prefix, isPreferred);
        lock (_lock)
        {
            if (_running < workers)
            {
                _running++;
                return true;
            }

            var queues = QueuesOf(turn);
            if (queues.CountOf(prefix) >= capacityOfPrefix || (Waiting >= capacity && !MakeRoomFor(turn)))
                return false;
            queues.Add(turn);
        }

        using var leaving = left.UnsafeRegister(_ => Leave(turn, left), null);
        using var closing = closed.UnsafeRegister(_ => ComeLast(turn), null);
        return await turn.Come.Task;
    }

    private LoginQueues QueuesOf(LoginTurn turn) => turn.IsPreferred ? _preferred : _others;

    private bool MakeRoomFor(LoginTurn turn)
    {
        var leaves = _closed.First?.Value;
        if (leaves is null && turn.IsPreferred)
            leaves = _others.NewestOfLongest(hasFailed) ?? _others.NewestOfWidest(moreThan: 0);
        else if (leaves is null && !hasFailed(turn.Prefix))
            leaves = _others.NewestOfLongest(hasFailed);
        // With one that leaves for one that comes, the wide network that has most still has no fewer than that of the other.
        if (leaves is null && (turn.IsPreferred || !hasFailed(turn.Prefix)))
            leaves = QueuesOf(turn).NewestOfWidest(QueuesOf(turn).CountAround(turn.Prefix) + 1);
        if (leaves is null)
            return false;
        Remove(leaves);
        leaves.Come.SetResult(false);
        return true;
    }

    private void ComeLast(LoginTurn turn)
    {
        lock (_lock)
        {
            if (!turn.IsWaiting)
                return;
            Remove(turn);
            turn.Place = _closed.AddLast(turn);
        }
    }

    private void PassOn()
    {
        lock (_lock)
        {
            var isPreferred = _preferred.Count > 0 && (_others.Count == 0 || _inARow < PreferredInARow);
            _inARow = isPreferred ? Math.Min(_inARow + 1, PreferredInARow) : 0;
            if ((isPreferred ? _preferred : _others).First is { } first)
                Give(first);
            else if (_closed.First is { } last)
                Give(last.Value);
            else
                _running--;
        }
    }

    private void Give(LoginTurn turn)
    {
        Remove(turn);
        QueuesOf(turn).HadATurn(turn.Prefix);
        turn.Come.SetResult(true);
    }

    private void Leave(LoginTurn turn, CancellationToken left)
    {
        lock (_lock)
        {
            if (!turn.IsWaiting)
                return;
            Remove(turn);
        }

        turn.Come.SetCanceled(left);
    }

    private void Remove(LoginTurn turn)
    {
        if (turn.Place!.List == _closed)
            _closed.Remove(turn.Place);
        else
            QueuesOf(turn).Remove(turn);
    }
}
