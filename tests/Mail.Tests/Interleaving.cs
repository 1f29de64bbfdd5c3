namespace MailPipeline.Mail.Tests;

/// <summary>
/// Workers, a queue, a bus and a reconciler that do what they may in any order, some of it again and again: commands and reports stay on the
/// bus for ever. Each step asks the store as the services do, and holds its answers against what is known here.
/// </summary>
internal sealed class Interleaving(StoreFixture store, Random random)
{
    private const string Domain = "example.net";

    private readonly List<BatchCommand> _commands = [];
    private readonly List<(long ClaimId, RecipientDecision[] Decisions)> _reports = [];
    private readonly List<Worker> _workers = [];
    private readonly Dictionary<long, int> _copies = [];
    private readonly List<string> _steps = [];
    private readonly List<Recipient> _recipients = [];

    public async Task StepAsync()
    {
        store.Time.Advance(TimeSpan.FromSeconds(1));
        var busy = _workers.Where(worker => !worker.HasEnded).ToList();
        switch (random.Next(30))
        {
            case 0 or 1:
                await GiveOutAsync();
                break;
            case 2 or 3 or 4:
                await TakeAsync(random.Next(1, 3), reports: 0);
                break;
            case 5 or 6:
                await TakeAsync(commands: 0, random.Next(1, 3));
                break;
            case 7:
                await TakeAsync(random.Next(1, 4), random.Next(1, 4));
                break;
            case 8 when random.Next(3) == 0:
                await TakeBackAsync();
                break;
            case 9:
                await RefuseInMailboxAsync();
                break;
            case 10:
                foreach (var recipient in Some(_recipients).Take(1))
                    await store.Operator.ReleaseAsync(recipient.MessageId, new("ann"));
                break;
            default:
                if (busy.Count > 0)
                    await WorkAsync(busy[random.Next(busy.Count)]);
                break;
        }
    }

    /// <summary>All workers die, all reports come, and what is left is taken back: then every copy is explained, and nothing is anybody's.</summary>
    public async Task EndAsync()
    {
        foreach (var (claimId, decisions) in _reports)
            await store.Outcomes.RecordAsync(claimId, Domain, decisions, TimeSpan.Zero);
        await TakeBackAsync();
        var doubts = await CountDoubtsAsync();
        foreach (var (id, copies) in _copies)
            Expect(copies <= 1 + doubts[id], $"{copies} copies went to {id} and {doubts[id]} attempts were in doubt");
        Expect((await store.CountAsync()).Claims == 0, "claims are left");
        Expect((await store.Ownerless.FreeAsync("", 10, DateTimeOffset.MaxValue, default)).Freed.Count == 0, "somebody waits under a claim that is not there");
        // The seed made something happen.
        Expect(_copies.Count > 2 && _reports.Count > 10, $"too little happened: {_copies.Count} of {_recipients.Count} were sent something, {_reports.Count} reports");
    }

    private async Task GiveOutAsync()
    {
        var waiting = new List<Recipient>();
        foreach (var recipient in _recipients)
        {
            if (await store.Queue.FindQueuedAsync(recipient.RecipientId, default) is { } queued)
                waiting.Add(queued);
        }
        if (waiting.Count < 8)
            _recipients.AddRange(await store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, $"x@{Domain}", $"y@{Domain}", $"z@{Domain}"));
        else
            _commands.Add(new BatchCommand(await store.Queue.NextBatchIdAsync(default), Domain, [.. Some(waiting)]));
    }

    /// <summary>Commands are taken and reports recorded, any of them perhaps again; those of one step share a transaction.</summary>
    private async Task TakeAsync(int commands, int reports)
    {
        var taking = new List<(BatchCommand Command, bool Begun, Task<Claim> Claim)>();
        var recording = new List<Task>();
        using (store.KeepWriterBusy())
        {
            for (; commands > 0 && _commands.Count > 0; commands--)
            {
                var command = Any(_commands);
                var begun = random.Next(2) == 0;
                taking.Add((command, begun, store.Claims.TakeAsync(command.BatchId, Domain, command.Recipients, begun, default)));
            }
            for (; reports > 0 && _reports.Count > 0; reports--)
            {
                var (claimId, decisions) = Any(_reports);
                Note($"report of {claimId}");
                recording.Add(store.Outcomes.RecordAsync(claimId, Domain, decisions, TimeSpan.Zero, afterDoubt: random.Next(4) == 0));
            }
        }
        await Task.WhenAll(recording);
        foreach (var (command, begun, claiming) in taking)
        {
            var claim = await claiming;
            Note($"{claim.Id} takes batch {command.BatchId} and wins {string.Join(',', claim.Won)}");
            foreach (var id in claim.Won)
                Expect(!_workers.Exists(other => other.Open.Contains(id) && !other.IsLost), $"{id} is won while another has it");
            if (claim.Won.Count > 0)
                _workers.Add(new Worker(command, claim.Id, [.. claim.Won]) { HasBegun = begun });
        }
    }

    private async Task TakeBackAsync()
    {
        Note("all is taken back");
        var taken = await store.DeadClaims.TakeBackAsync(evenIfLeased: true, _ => new(RecipientState.Queued, store.Time.GetUtcNow()), TimeSpan.Zero, default);
        Expect(taken.NotTaken.Count == 0, "a claim cannot be taken back");
        foreach (var worker in _workers)
            worker.IsLost = true;
    }

    /// <summary>Nobody has an account there: each is under the claim until the report comes.</summary>
    private async Task RefuseInMailboxAsync()
    {
        if (_commands.Count == 0)
            return;
        var command = Any(_commands);
        var claimId = await store.Claims.NextIdAsync(default);
        var results = await store.Maildrops.StoreAsync(claimId, command, _ => "", default);
        _reports.Add((claimId, [.. results.Select(result => Decide(result.Outcome == AttemptOutcome.Failed ? result with { Outcome = AttemptOutcome.Deferred } : result))]));
    }

    private async Task WorkAsync(Worker worker)
    {
        switch (random.Next(16))
        {
            case 0 or 9:
                worker.HasBegun |= Follow(worker, await store.Claims.BeginAsync(worker.ClaimId, default));
                break;
            case 1 or 2 or 10 or 11 or 12 when worker.HasBegun:
                await NoteDotsAsync(worker);
                break;
            case 3 or 4 or 13 or 14 or 15:
                await DeliverAsync(worker);
                break;
            case 5:
                foreach (var id in Some([.. worker.Open.Except(worker.Delivered)]))
                    worker.Settle(id, store.Result(_recipients.First(recipient => recipient.RecipientId == id), AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 mailbox full"));
                break;
            case 6:
                long[] back = [.. Some([.. worker.Open.Where(id => !worker.Noted.Contains(id) && !worker.Results.ContainsKey(id))])];
                Note($"{worker.ClaimId} hands {string.Join(',', back)} back");
                worker.Open.ExceptWith(back);
                if (back.Length > 0)
                    await store.Claims.ReleaseAsync(worker.ClaimId, back, default);
                break;
            case 7 when random.Next(2) == 0:
                Note($"{worker.ClaimId} dies");
                worker.HasEnded = true;
                break;
            case 7:
                Expect((await store.Claims.RenewAsync([worker.ClaimId], default)).Count == (worker.IsLost ? 0 : 1) || worker.HasEndedClaim, "a claim is renewed for whom it is not");
                break;
            case 8:
                await ReportAsync(worker);
                break;
        }
    }

    private async Task NoteDotsAsync(Worker worker)
    {
        var open = worker.Open.Where(id => !worker.Results.ContainsKey(id) && !worker.Delivered.Contains(id)).ToList();
        HashSet<long> named = [.. Some(open), .. worker.Noted];
        if (named.Count == 0)
            return;
        var update = await store.Claims.NoteDotsAsync(worker.ClaimId, named, default);
        Note($"{worker.ClaimId} may send to {string.Join(',', named)}: {update}");
        if (!Follow(worker, update))
            return;
        var doubts = await CountDoubtsAsync();
        foreach (var id in named)
        {
            Expect(
                !_workers.Exists(other => other != worker && other.Noted.Contains(id) && doubts[id] == other.DoubtsBefore[id]),
                $"{id} is about to be sent while another may be sending it, and no doubt is recorded");
            if (worker.Noted.Add(id))
                worker.DoubtsBefore[id] = doubts[id];
        }
    }

    private async Task DeliverAsync(Worker worker)
    {
        foreach (var id in Some([.. worker.Noted.Except(worker.Delivered)]))
        {
            Note($"{worker.ClaimId} delivers to {id}");
            worker.Delivered.Add(id);
            _copies[id] = _copies.GetValueOrDefault(id) + 1;
        }
        AttemptResult[] results = [.. worker.Delivered.Where(worker.Open.Contains).Select(id => Delivered(id))];
        if (results.Length == 0 || random.Next(3) == 0)
            return;
        var isLast = worker.Delivered.IsSupersetOf(worker.Won);
        var (recorded, hasEnded) = isLast
            ? await store.Claims.RecordLastDeliveredAsync(worker.ClaimId, results, worker.Won, default)
            : (await store.Claims.RecordDeliveredAsync(worker.ClaimId, results, default), false);
        Note($"{worker.ClaimId} has recorded {string.Join(',', recorded)}");
        Expect(recorded.Count == (worker.IsLost ? 0 : results.Length), "a delivery was recorded for who has no claim, or was not for who has one");
        worker.Open.ExceptWith(recorded);
        worker.Noted.ExceptWith(recorded);
        worker.HasEndedClaim |= hasEnded;
        worker.HasEnded |= hasEnded;
    }

    /// <summary>Contact is lost over those whose dot may be sent: some have it, and nobody knows.</summary>
    private async Task ReportAsync(Worker worker)
    {
        worker.HasEnded = true;
        foreach (var id in worker.Noted.Except(worker.Delivered))
            _copies[id] = _copies.GetValueOrDefault(id) + random.Next(2);
        var uncertain = worker.Open.Where(worker.Noted.Contains).ToList();
        await store.Claims.FinishAsync(worker.ClaimId, uncertain, [.. worker.Results.Keys], default);
        Note($"{worker.ClaimId} has ended: {string.Join(',', uncertain)} in doubt, {string.Join(',', worker.Results.Keys)} deferred");
        _reports.Add((worker.ClaimId, [.. worker.Command.Recipients.Where(recipient => worker.Open.Contains(recipient.RecipientId) || !worker.Won.Contains(recipient.RecipientId))
            .Select(recipient => Decide(
                uncertain.Contains(recipient.RecipientId) ? store.Result(recipient, AttemptOutcome.Uncertain, "4.4.2", "contact lost")
                : worker.Results.GetValueOrDefault(recipient.RecipientId) ?? store.Result(recipient, AttemptOutcome.NotAttempted, "4.0.0", "not attempted")))]));
        worker.Open.Clear();
    }

    /// <summary>False: the claim is lost, and the worker stops.</summary>
    private bool Follow(Worker worker, ClaimUpdate update)
    {
        Expect((update == ClaimUpdate.Applied) != worker.IsLost, $"{worker.ClaimId} is told {update} of a claim that is {(worker.IsLost ? "lost" : "its own")}");
        worker.HasEnded |= update != ClaimUpdate.Applied;
        return update == ClaimUpdate.Applied;
    }

    private RecipientDecision Decide(AttemptResult result) => new(result, RecipientState.Queued, store.Time.GetUtcNow());

    private AttemptResult Delivered(long id) =>
        store.Result(_recipients.First(recipient => recipient.RecipientId == id), AttemptOutcome.Delivered, "2.0.0", "250 ok");

    private async Task<Dictionary<long, int>> CountDoubtsAsync() =>
        (await Task.WhenAll(_recipients.Select(recipient => recipient.MessageId).Distinct().Select(id => store.History.FindAsync(id, default))))
            .SelectMany(message => message!.Recipients)
            .ToDictionary(recipient => recipient.RecipientId, recipient => recipient.Attempts.Count(attempt => attempt.Outcome == AttemptOutcome.Uncertain));

    /// <summary>Most often one of the last, of which somebody still waits.</summary>
    private T Any<T>(IReadOnlyList<T> all) => all[random.Next(3) == 0 ? random.Next(all.Count) : Math.Max(0, all.Count - 1 - random.Next(5))];

    private IEnumerable<T> Some<T>(IReadOnlyList<T> all) => all.Where(_ => random.Next(2) == 0).ToList();

    private void Note(string step) => _steps.Add(step);

    private void Expect(bool holds, string otherwise) =>
        Assert.True(holds, $"{otherwise}\n{string.Join('\n', _steps)}");

    /// <summary>One taking of a command that won somebody.</summary>
    private sealed class Worker(BatchCommand command, long claimId, long[] won)
    {
        public BatchCommand Command { get; } = command;

        public long ClaimId { get; } = claimId;

        public IReadOnlyCollection<long> Won { get; } = won;

        /// <summary>Whom it is at.</summary>
        public HashSet<long> Open { get; } = [.. won];

        /// <summary>Whose final dot it may send or has sent, while no answer to it is recorded.</summary>
        public HashSet<long> Noted { get; } = [];

        /// <summary>How many attempts were in doubt as each was noted.</summary>
        public Dictionary<long, int> DoubtsBefore { get; } = [];

        /// <summary>Who has the message from it.</summary>
        public HashSet<long> Delivered { get; } = [];

        /// <summary>Who was refused.</summary>
        public Dictionary<long, AttemptResult> Results { get; } = [];

        /// <summary>It dials: no dot is sent before.</summary>
        public bool HasBegun { get; set; }

        /// <summary>Its claim was taken back, whether it knows or not.</summary>
        public bool IsLost { get; set; }

        /// <summary>Its claim ended with the record of its last delivery.</summary>
        public bool HasEndedClaim { get; set; }

        /// <summary>It does nothing more.</summary>
        public bool HasEnded { get; set; }

        public void Settle(long id, AttemptResult result)
        {
            Noted.Remove(id);
            Results[id] = result;
        }
    }
}
