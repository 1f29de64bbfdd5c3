using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Claims;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Sources;
using MailPipeline.Dns;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.Extensions.Hosting;

namespace MailPipeline.Delivery.Tests;

/// <summary>Claims in memory. Faults are planted by the test.</summary>
internal sealed class FakeClaims : IClaims
{
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(15);

    public HashSet<long> Refused { get; } = [];

    public HashSet<long> LostClaims { get; } = [];

    /// <summary>The permit of what is taken counts no more.</summary>
    public bool IsStale { get; set; }

    public HashSet<long> Unrecordable { get; } = [];

    /// <summary>Writes that fail before one succeeds.</summary>
    public int FailingRecords { get; set; }

    /// <summary>Records whose reply begins with this are refused for what they hold.</summary>
    public string? RefusedReply { get; set; }

    public bool IsAway { get; set; }

    public int Renewals { get; private set; }

    public List<AttemptResult> Recorded { get; } = [];

    public List<long> Released { get; } = [];

    /// <summary>What was said when claims were taken: that nothing is waited for any more.</summary>
    public List<bool> Begun { get; } = [];

    public Action? OnRecord { get; set; }

    /// <summary>Records are not answered before this completes.</summary>
    public Task RecordGate { get; set; } = Task.CompletedTask;

    /// <summary>The claim that is won for a batch.</summary>
    public static long IdFor(long batchId) => batchId + 1000;

    public Task<Claim> TakeAsync(BatchCommand wanted, bool begun, CancellationToken cancellationToken)
    {
        ThrowIfAway();
        Begun.Add(begun);
        if (IsStale)
            return Task.FromResult(new Claim(IdFor(wanted.BatchId), new HashSet<long>(), IsStale: true));
        return Task.FromResult(new Claim(
            IdFor(wanted.BatchId), wanted.Recipients.Select(recipient => recipient.RecipientId).Where(id => !Refused.Contains(id)).ToHashSet()));
    }

    public Task<ClaimUpdate> BeginAsync(long claimId, CancellationToken cancellationToken)
    {
        ThrowIfAway();
        return Task.FromResult(LostClaims.Contains(claimId) ? ClaimUpdate.ClaimLost : ClaimUpdate.Applied);
    }

    /// <summary>For whom storage knows that a final dot may have been sent.</summary>
    public IReadOnlyCollection<long> Dots { get; private set; } = [];

    /// <summary>All for whom it ever knew.</summary>
    public HashSet<long> EverNoted { get; } = [];

    /// <summary>How often it was told.</summary>
    public int DotNotes { get; private set; }

    /// <summary>Notes of dots are not answered before this completes.</summary>
    public Task DotGate { get; set; } = Task.CompletedTask;

    public async Task<ClaimUpdate> NoteDotsAsync(long claimId, IReadOnlyCollection<long> recipientIds, CancellationToken cancellationToken)
    {
        await DotGate;
        ThrowIfAway();
        DotNotes++;
        if (LostClaims.Contains(claimId))
            return ClaimUpdate.ClaimLost;
        Dots = [.. recipientIds];
        EverNoted.UnionWith(recipientIds);
        return ClaimUpdate.Applied;
    }

    /// <summary>How the attempts ended that delivered nothing, as storage was told before the report.</summary>
    public (IReadOnlyCollection<long> Uncertain, IReadOnlyCollection<long> Tried)? Finished { get; private set; }

    public Task<ClaimUpdate> FinishAsync(
        long claimId, IReadOnlyCollection<long> uncertain, IReadOnlyCollection<long> tried, CancellationToken cancellationToken)
    {
        ThrowIfAway();
        Finished = (uncertain, tried);
        return Task.FromResult(ClaimUpdate.Applied);
    }

    /// <summary>Whether somebody else is at it.</summary>
    public bool IsHeld { get; set; }

    public Task<bool> IsHeldAsync(BatchCommand wanted, CancellationToken cancellationToken)
    {
        ThrowIfAway();
        return Task.FromResult(IsHeld);
    }

    public Task<IReadOnlySet<long>> RenewAsync(IReadOnlyCollection<long> claimIds, CancellationToken cancellationToken)
    {
        Renewals++;
        ThrowIfAway();
        return Task.FromResult<IReadOnlySet<long>>(claimIds.Where(id => !LostClaims.Contains(id)).ToHashSet());
    }

    /// <summary>All of the claim, as was said with the last record.</summary>
    public IReadOnlyCollection<long>? EndedWith { get; private set; }

    public async Task<(IReadOnlySet<long> Recorded, bool HasEnded)> RecordLastDeliveredAsync(
        long claimId, IReadOnlyList<AttemptResult> results, IReadOnlyCollection<long> allOfClaim, CancellationToken cancellationToken)
    {
        var recorded = await RecordDeliveredAsync(claimId, results, cancellationToken);
        EndedWith = allOfClaim;
        return (recorded, recorded.Count == results.Count && !LostClaims.Contains(claimId));
    }

    public async Task<IReadOnlySet<long>> RecordDeliveredAsync(
        long claimId, IReadOnlyList<AttemptResult> results, CancellationToken cancellationToken)
    {
        OnRecord?.Invoke();
        await RecordGate;
        ThrowIfAway();
        if (RefusedReply is { } refused && results.Any(result => result.Reply.StartsWith(refused, StringComparison.Ordinal)))
            throw new StorageUnavailableException(StorageFault.Refused, "not this");
        if (FailingRecords > 0)
        {
            FailingRecords--;
            throw new IOException("storage is away");
        }

        var taken = results.Where(result => !Unrecordable.Contains(result.RecipientId)).ToList();
        lock (Recorded)
            Recorded.AddRange(taken);
        return taken.Select(result => result.RecipientId).ToHashSet();
    }

    public Task ReleaseAsync(long claimId, IReadOnlyCollection<long> recipientIds, CancellationToken cancellationToken)
    {
        ThrowIfAway();
        lock (Released)
            Released.AddRange(recipientIds);
        return Task.CompletedTask;
    }

    private void ThrowIfAway()
    {
        if (IsAway)
            throw new IOException("storage is away");
    }
}

/// <summary>Message bytes in memory, cut into chunks of a chosen size.</summary>
internal sealed class FakeContent : IMessageContent
{
    private readonly Dictionary<long, byte[]> _messages = [];

    public int ChunkBytes { get; set; } = 256 * 1024;

    /// <summary>Messages whose content breaks off with an error after so many octets.</summary>
    public Dictionary<long, int> Unreadable { get; } = [];

    public Action<long>? OnRead { get; set; }

    public Action<int>? OnChunk { get; set; }

    /// <summary>What senders said about reports, by message.</summary>
    public Dictionary<long, MessageDsn> Dsn { get; } = [];

    public Task<MessageDsn> FindDsnAsync(IReadOnlyList<Recipient> recipients, CancellationToken cancellationToken) =>
        Task.FromResult(Dsn[recipients[0].MessageId]);

    /// <summary>What senders said about time and priority, by message.</summary>
    public Dictionary<long, MailTiming> Timings { get; } = [];

    public Task<MailTiming> FindTimingAsync(long messageId, CancellationToken cancellationToken) => Task.FromResult(Timings[messageId]);

    /// <summary>Who submitted messages, by message.</summary>
    public Dictionary<long, MailSubmitter> Submitters { get; } = [];

    /// <summary>So often somebody asked who submitted a message.</summary>
    public int SubmittersAsked { get; private set; }

    public Task<MailSubmitter?> FindSubmitterAsync(long messageId, CancellationToken cancellationToken)
    {
        SubmittersAsked++;
        return Task.FromResult(Submitters.GetValueOrDefault(messageId));
    }

    public long Add(long messageId, byte[] content)
    {
        _messages[messageId] = content;
        return content.Length;
    }

    public long Add(long messageId, string content) => Add(messageId, Encoding.Latin1.GetBytes(content));

    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(
        long messageId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        OnRead?.Invoke(messageId);
        await Task.CompletedTask;
        if (!_messages.TryGetValue(messageId, out var bytes))
            yield break;
        for (var position = 0; position < bytes.Length; position += ChunkBytes)
        {
            if (Unreadable.TryGetValue(messageId, out var limit) && position >= limit)
                throw new IOException("storage is away");
            OnChunk?.Invoke(position);
            yield return bytes.AsMemory(position, Math.Min(ChunkBytes, bytes.Length - position));
        }
    }
}

/// <summary>DNS from a dictionary; a name that is not in it does not exist.</summary>
internal sealed class FakeDns : IDnsLookup
{
    public Dictionary<string, DnsAnswer<MxRecord>> Mx { get; } = new(StringComparer.OrdinalIgnoreCase);

    public Dictionary<string, DnsAnswer<IPAddress>> IPv4 { get; } = new(StringComparer.OrdinalIgnoreCase);

    public Dictionary<string, DnsAnswer<IPAddress>> IPv6 { get; } = new(StringComparer.OrdinalIgnoreCase);

    public Dictionary<string, DnsAnswer<TxtRecord>> Txt { get; } = new(StringComparer.OrdinalIgnoreCase);

    public Dictionary<string, DnsAnswer<TlsaRecord>> Tlsa { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Names that end so are those of signed zones: the resolver vouches for what it says of them.</summary>
    public HashSet<string> Signed { get; } = [];

    /// <summary>Names of signed zones, and not those below them.</summary>
    public HashSet<string> SignedAlone { get; } = new(StringComparer.OrdinalIgnoreCase);

    public List<string> Questions { get; } = [];

    public TimeSpan TimeToLive { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>When set, answers come only after it completes.</summary>
    public TaskCompletionSource? Gate { get; set; }

    /// <summary>Questions, as "A mx.example.net", that are answered only after this completes.</summary>
    public Dictionary<string, TaskCompletionSource> Silent { get; } = [];

    public FakeDns WithMx(string domain, params (int Preference, string Host)[] records)
    {
        Mx[domain] = records.Length == 0
            ? new DnsAnswer<MxRecord>(DnsStatus.NoData, [], TimeToLive)
            : new DnsAnswer<MxRecord>(DnsStatus.Found, [.. records.Select(record => new MxRecord(record.Preference, record.Host))], TimeToLive);
        return this;
    }

    public FakeDns WithAddress(string host, params string[] addresses)
    {
        var all = addresses.Select(IPAddress.Parse).ToLookup(address => address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6);
        IPv4[host] = Answer([.. all[false]]);
        IPv6[host] = Answer([.. all[true]]);
        return this;
    }

    public FakeDns WithTxt(string name, params string[] texts)
    {
        Txt[name] = new DnsAnswer<TxtRecord>(DnsStatus.Found, [.. texts.Select(text => new TxtRecord(text))], TimeToLive);
        return this;
    }

    public FakeDns WithTlsa(string name, params TlsaRecord[] records)
    {
        Tlsa[name] = new DnsAnswer<TlsaRecord>(DnsStatus.Found, records, TimeToLive);
        return this;
    }

    public FakeDns WithFailure(string name)
    {
        Mx[name] = DnsAnswer.Failure<MxRecord>("ServerFailure");
        Txt[name] = DnsAnswer.Failure<TxtRecord>("ServerFailure");
        Tlsa[name] = DnsAnswer.Failure<TlsaRecord>("ServerFailure");
        IPv4[name] = DnsAnswer.Failure<IPAddress>("ServerFailure");
        IPv6[name] = DnsAnswer.Failure<IPAddress>("ServerFailure");
        return this;
    }

    /// <summary>How many questions have come.</summary>
    public int Asked()
    {
        lock (Questions)
            return Questions.Count;
    }

    public Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken) => AskAsync(Mx, "MX", name);

    public Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken) => AskAsync(IPv4, "A", name);

    public Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken) => AskAsync(IPv6, "AAAA", name);

    public Task<DnsAnswer<TxtRecord>> TxtAsync(string name, CancellationToken cancellationToken) => AskAsync(Txt, "TXT", name);

    public Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name, CancellationToken cancellationToken) => AskAsync(Tlsa, "TLSA", name);

    /// <inheritdoc cref="TxtAsync"/>
    public Task<DnsAnswer<string>> AliasAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <inheritdoc cref="TxtAsync"/>
    public Task<DnsAnswer<string>> PtrAsync(IPAddress address, CancellationToken cancellationToken) => throw new NotSupportedException();

    private DnsAnswer<IPAddress> Answer(IPAddress[] addresses) =>
        new(addresses.Length > 0 ? DnsStatus.Found : DnsStatus.NoData, addresses, TimeToLive);

    private async Task<DnsAnswer<T>> AskAsync<T>(Dictionary<string, DnsAnswer<T>> answers, string type, string name)
    {
        lock (Questions)
            Questions.Add($"{type} {name}");
        if (Gate is { } gate)
            await gate.Task;
        if (Silent.TryGetValue($"{type} {name}", out var silent))
            await silent.Task;
        var answer = answers.GetValueOrDefault(name) ?? new DnsAnswer<T>(DnsStatus.NoSuchName, [], TimeToLive);
        return answer with { IsAuthenticated = SignedAlone.Contains(name) || Signed.Any(zone => name.EndsWith(zone, StringComparison.OrdinalIgnoreCase)) };
    }
}

internal sealed class FakeLifetime : IHostApplicationLifetime, IDisposable
{
    private readonly CancellationTokenSource _stopping = new();

    public CancellationToken ApplicationStarted => CancellationToken.None;

    public CancellationToken ApplicationStopping => _stopping.Token;

    public CancellationToken ApplicationStopped => CancellationToken.None;

    public void StopApplication() => _stopping.Cancel();

    public void Dispose() => _stopping.Dispose();
}

/// <summary>Plans of source addresses in memory, as of a store that several processes share.</summary>
internal sealed class FakeSourceDays : ISourceDays
{
    private readonly Dictionary<(string Source, int Day), int> _taken = [];

    public int Writes { get; private set; }

    /// <summary>Given out so far, sent or not.</summary>
    public int Of(string source) => _taken.Where(day => day.Key.Source == source).Sum(day => day.Value);

    public Task<int> TakeAsync(string source, int day, int wanted, int plan)
    {
        Writes++;
        var before = _taken.GetValueOrDefault((source, day));
        var taken = Math.Min(wanted, Math.Max(plan - before, 0));
        _taken[(source, day)] = before + taken;
        return Task.FromResult(taken);
    }

    public Task GiveBackAsync(string source, int day, int messages)
    {
        _taken[(source, day)] -= messages;
        return Task.CompletedTask;
    }
}

/// <summary>The domains that we relay for, by name.</summary>
internal sealed class FakeRelays : Dictionary<string, Relay>, IRelays
{
    public FakeRelays()
        : base(StringComparer.OrdinalIgnoreCase)
    {
    }

    public ValueTask<Relay?> FindAsync(string domain) => ValueTask.FromResult(this.GetValueOrDefault(domain));
}
