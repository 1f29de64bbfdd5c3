using System.Net.Sockets;
using System.Security.Authentication;

namespace MailPipeline.Testing;

/// <summary>
/// Reads a maildrop session by session and keeps the ledger: what was listed, read and deleted, and whether QUIT was
/// answered. A message is in the ledger, synced, before it is marked for deletion.
/// </summary>
public sealed class Pop3Poller(Maildrop maildrop, LedgerFile ledger)
{
    private readonly HashSet<string> _read = [];
    private int _session;

    /// <summary>Whether to delete a message that was read; by default never.</summary>
    public Func<string, bool> DeleteWhen { get; init; } = _ => false;

    /// <summary>Messages retrieved again although they were read before, to see that a unique id keeps naming the same bytes.</summary>
    public Func<string, bool> ReadAgainWhen { get; init; } = _ => false;

    /// <summary>Servers at which the sessions are held in turn; none: the maildrop's own.</summary>
    public IReadOnlyList<System.Net.IPEndPoint> Servers { get; init; } = [];

    /// <summary>How long one session may take.</summary>
    public TimeSpan SessionTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Unique ids read so far.</summary>
    public int Read => _read.Count;

    /// <summary>Sessions until cancelled; lost connections and refusals are lived with.</summary>
    public async Task RunAsync(TimeSpan pause, CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                await PollAsync(cancellation);
            }
            catch (Exception e) when (e is Pop3RefusedException || IsConnectionFailure(e))
            {
            }
            try
            {
                await Task.Delay(pause, TimeProvider.System, cancellation);
            }
            catch (OperationCanceledException)
            {
            }
        }
    }

    /// <summary>One session: list, read what is new, delete, quit. Returns what was listed.</summary>
    public async Task<IReadOnlyList<string>> PollAsync(CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(SessionTimeout);
        var session = ++_session;
        await using var client = await Pop3Client.OpenAsync(NextLogin(session), limit.Token);
        var listed = await client.ListAsync(limit.Token);
        await ledger.AppendAsync(new MaildropListed(Now(), maildrop.Mailbox, session, [.. listed.Select(m => m.Uid)]));
        var deleted = new List<string>();
        var quitSent = false;
        try
        {
            foreach (var (number, uid) in listed)
            {
                if (!_read.Contains(uid) || ReadAgainWhen(uid))
                    await ReadAsync(client, session, number, uid, limit.Token);
                if (_read.Contains(uid) && DeleteWhen(uid))
                {
                    deleted.Add(uid);
                    await client.DeleteAsync(number, limit.Token);
                }
            }
            quitSent = true;
            await client.CommandAsync("QUIT", limit.Token);
            await NoteDeletedAsync(session, deleted, QuitOutcome.Confirmed);
        }
        catch (Pop3RefusedException)
        {
            await NoteDeletedAsync(session, deleted, QuitOutcome.NotDone);
            throw;
        }
        catch (Exception e) when (IsConnectionFailure(e))
        {
            await NoteDeletedAsync(session, deleted, quitSent ? QuitOutcome.Unknown : QuitOutcome.NotDone);
            throw;
        }
        return [.. listed.Select(m => m.Uid)];
    }

    private ServerLogin NextLogin(int session) =>
        Servers.Count == 0 ? maildrop.Login : maildrop.Login with { Server = Servers[session % Servers.Count] };

    private async Task ReadAsync(Pop3Client client, int session, int number, string uid, CancellationToken cancellation)
    {
        using var message = new ReceivedMessage();
        try
        {
            await client.RetrieveAsync(number, message, cancellation);
        }
        catch (Pop3RefusedException e)
        {
            await ledger.AppendAsync(new MaildropReadFailed(Now(), maildrop.Mailbox, session, uid, e.Message));
            throw;
        }
        await ledger.AppendAsync(new MaildropRead(
            Now(), maildrop.Mailbox, session, uid, message.Token, message.TakeBodyHash(), message.SizeBytes, message.ReadDsn()));
        _read.Add(uid);
    }

    private Task NoteDeletedAsync(int session, List<string> deleted, QuitOutcome quit) => deleted.Count == 0
        ? Task.CompletedTask
        : ledger.AppendAsync(new MaildropDeleted(Now(), maildrop.Mailbox, session, [.. deleted], quit));

    private static bool IsConnectionFailure(Exception e) =>
        e is IOException or SocketException or OperationCanceledException or AuthenticationException or InvalidDataException;

    private static DateTimeOffset Now() => TimeProvider.System.GetUtcNow();
}
