using System.Runtime.CompilerServices;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>Those who are on the list of one sender.</summary>
/// <param name="HasMore">There are others behind the last of them.</param>
public sealed record SuppressionsFound(IReadOnlyList<Suppression> Suppressions, bool HasMore);

/// <summary>What became of a change of suppression lists: one of the records in this file, and of no others.</summary>
public abstract record SuppressionResult
{
    private protected SuppressionResult(ActStatus status) => Status = status;

    public ActStatus Status { get; }
}

public sealed record SuppressionBegun(SuppressingSender Sender) : SuppressionResult(ActStatus.Done);

public sealed record SuppressionEnded(string Sender) : SuppressionResult(ActStatus.Done);

public sealed record RecipientSuppressed(Suppression Suppression) : SuppressionResult(ActStatus.Done);

/// <param name="Removed">As he was on the list.</param>
public sealed record RecipientUnsuppressed(Suppression Removed) : SuppressionResult(ActStatus.Done);

/// <param name="Over">Lines whose time is over already: nobody was added for them.</param>
/// <param name="Bad">Lines from which nobody was added; the first <see cref="SuppressionFile.MostBadLines"/> are in <paramref name="BadLines"/>.</param>
public sealed record SuppressionsImported(string Sender, int Added, long Over, long Bad, IReadOnlyList<BadLine> BadLines)
    : SuppressionResult(Bad == 0 ? ActStatus.Done : ActStatus.NotDone);

/// <summary>The sender has no list, and has to be given one first.</summary>
public sealed record NoSuppressionList(string Sender) : SuppressionResult(ActStatus.NotDone);

/// <summary>So many senders have a list already.</summary>
public sealed record TooManySuppressionLists(int Most) : SuppressionResult(ActStatus.NotDone);

public sealed record NotSuppressed(string Sender, string Address) : SuppressionResult(ActStatus.NotDone);

/// <summary>The sender has the form of an account, and there is none of that name.</summary>
public sealed record NoSuchSender(string Account) : SuppressionResult(ActStatus.NotDone);

/// <summary>It is neither an account nor a domain.</summary>
public sealed record NotASender(string Typed) : SuppressionResult(ActStatus.Refused);

public sealed record NotARecipient(string Typed) : SuppressionResult(ActStatus.Refused);

/// <summary>
/// The suppression lists of senders: accounts, or domains of those who send without having logged in. A list is opt-in: without one nothing is kept or
/// looked up.
/// </summary>
public sealed class Suppressions(SuppressionStore store, MailDirectory directory, TimeProvider time)
{
    private const int Page = 1000;

    /// <summary>Those who have a list, by name.</summary>
    public Task<IReadOnlyList<SuppressingSender>> ListSendersAsync(CancellationToken cancellation) => store.ListSendersAsync(cancellation);

    /// <param name="keepFor">How long who comes to it by himself stays there; null: for good.</param>
    /// <returns><see cref="SuppressionBegun"/>, or why not.</returns>
    public async Task<SuppressionResult> BeginAsync(string typed, TimeSpan? keepFor, OperatorIdentity by, CancellationToken cancellation)
    {
        if (Sender(typed, out var sender) is { } refused)
            return refused;
        // A list of nobody would look as if it had effect.
        if (sender.Contains('@', StringComparison.Ordinal) && await directory.FindAccountAsync(sender, cancellation) is null)
            return new NoSuchSender(sender);
        return await store.BeginAsync(sender, keepFor, by) is { } begun ? new SuppressionBegun(begun) : new TooManySuppressionLists(SuppressionStore.MostSenders);
    }

    /// <returns><see cref="SuppressionEnded"/>, or why not.</returns>
    public async Task<SuppressionResult> EndAsync(string typed, OperatorIdentity by)
    {
        if (Sender(typed, out var sender) is { } refused)
            return refused;
        return await store.EndAsync(sender, by) ? new SuppressionEnded(sender) : new NoSuppressionList(sender);
    }

    /// <summary>Those on the list of a sender, by their addresses.</summary>
    /// <param name="after">Behind this address; empty: from the first.</param>
    /// <returns>Null: the sender has no list.</returns>
    public async Task<SuppressionsFound?> ListAsync(string typed, string after, int most, CancellationToken cancellation)
    {
        if (await FindListAsync(typed, cancellation) is not { List: { Sender: var sender } })
            return null;
        var found = await store.ListAsync(sender, SuppressionStore.AddressKey(after), most + 1, cancellation);
        return new([.. found.Take(most)], found.Count > most);
    }

    /// <summary>On whose lists an address is, whosever they are.</summary>
    public async Task<SuppressionsFound> FindRecipientAsync(string address, CancellationToken cancellation)
    {
        var senders = await store.ListSendersAsync(cancellation);
        var found = await store.FindAsync([.. senders.Select(one => (one.Sender, address))], cancellation);
        return new([.. found.OrderBy(one => one.Sender, StringComparer.Ordinal)], HasMore: false);
    }

    /// <param name="keep">How long; null: as the list says.</param>
    /// <returns><see cref="RecipientSuppressed"/>, or why not.</returns>
    public async Task<SuppressionResult> AddAsync(
        string typed, string typedAddress, KeepTime? keep, string reason, OperatorIdentity by, CancellationToken cancellation)
    {
        var (list, refused) = await FindListAsync(typed, cancellation);
        if (list is null)
            return refused!;
        if (MailNames.Address(typedAddress, out var address) is not null)
            return new NotARecipient(typedAddress);
        var added = SuppressionStore.Create(With(list, keep), address, SuppressionCause.Operator, reason, time.GetUtcNow());
        await store.SetAsync(Of(added), OperatorAction.RecipientSuppressed, $"{added.Address} of {added.Sender}", by, cancellation);
        return new RecipientSuppressed(added);
    }

    /// <returns><see cref="RecipientUnsuppressed"/>, or why not.</returns>
    public async Task<SuppressionResult> RemoveAsync(string typed, string typedAddress, OperatorIdentity by)
    {
        if (Sender(typed, out var sender) is { } refused)
            return refused;
        if (MailNames.Address(typedAddress, out var address) is not null)
            return new NotARecipient(typedAddress);
        return await store.RemoveAsync(sender, address, by) is { } removed ? new RecipientUnsuppressed(removed) : new NotSuppressed(sender, address);
    }

    /// <summary>
    /// Puts all on a list whom a file names, in the place of what the list says of them. The file is read once and is never in memory as a whole; what of
    /// it makes no sense is told by line, and keeps nobody else off the list.
    /// </summary>
    /// <param name="keep">How long those stay of whom the file does not say it; null: as the list says.</param>
    /// <param name="name">Of the file, for the audit.</param>
    /// <returns><see cref="SuppressionsImported"/>, or why not.</returns>
    public async Task<SuppressionResult> ImportAsync(
        string typed, TextReader file, string name, KeepTime? keep, OperatorIdentity by, CancellationToken cancellation)
    {
        var (list, refused) = await FindListAsync(typed, cancellation);
        if (list is null)
            return refused!;
        var reading = new SuppressionFile(With(list, keep), time.GetUtcNow());
        var added = await store.SetAsync(
            reading.ReadAsync(file, cancellation), OperatorAction.SuppressionsImported, $"{list.Sender} from {PlainText.Line(name, 200)}", by, cancellation);
        return new SuppressionsImported(list.Sender, added, reading.Over, reading.Bad, reading.BadLines);
    }

    /// <summary>All on the list of a sender, by their addresses, however many there are. Null: the sender has no list.</summary>
    public async Task<IAsyncEnumerable<Suppression>?> ExportAsync(string typed, CancellationToken cancellation) =>
        await FindListAsync(typed, cancellation) is { List: { Sender: var sender } } ? ReadAsync(sender, cancellation) : null;

    /// <summary>Null, and the sender as he is kept; or why what was typed is none.</summary>
    private static NotASender? Sender(string typed, out string sender)
    {
        var refused = typed.Contains('@', StringComparison.Ordinal) ? MailNames.Account(typed, out sender) : MailNames.Domain(typed, out sender);
        return refused is null ? null : new NotASender(typed);
    }

    private static SuppressingSender With(SuppressingSender list, KeepTime? keep) => keep is { } said ? list with { KeepFor = said.Time } : list;

    private static async IAsyncEnumerable<Suppression> Of(Suppression one)
    {
        await Task.CompletedTask;
        yield return one;
    }

    private async Task<(SuppressingSender? List, SuppressionResult? Refused)> FindListAsync(string typed, CancellationToken cancellation)
    {
        if (Sender(typed, out var sender) is { } refused)
            return (null, refused);
        var list = (await store.ListSendersAsync(cancellation)).FirstOrDefault(one => one.Sender == sender);
        return (list, list is null ? new NoSuppressionList(sender) : null);
    }

    private async IAsyncEnumerable<Suppression> ReadAsync(string sender, [EnumeratorCancellation] CancellationToken cancellation)
    {
        for (var after = ""; ;)
        {
            var page = await store.ListAsync(sender, after, Page, cancellation);
            foreach (var one in page)
                yield return one;
            if (page.Count < Page)
                yield break;
            after = page[^1].Address;
        }
    }
}

/// <summary>How long somebody stays on a list.</summary>
/// <param name="Time">Null: for good.</param>
public readonly record struct KeepTime(TimeSpan? Time);
