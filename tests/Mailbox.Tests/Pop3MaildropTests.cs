using MailPipeline.Mail;
using MailPipeline.Mailbox.Tests.Kit;
using MailPipeline.Storage;

namespace MailPipeline.Mailbox.Tests;

/// <summary>One session per maildrop, and deletions that happen at QUIT or not at all.</summary>
public sealed class Pop3MaildropTests : IDisposable
{
    private readonly Pop3Harness _harness = new();

    public void Dispose() => _harness.Dispose();

    [Fact]
    public async Task A_second_session_is_told_that_the_maildrop_is_in_use()
    {
        var first = await LoggedInAsync();
        var second = _harness.Connect();
        await second.LineAsync();
        await second.AskAsync("USER ann@example.org");
        Assert.Equal("-ERR [IN-USE] another session has this maildrop", await second.AskAsync("PASS secret"));

        Assert.Equal("+OK bye", await first.AskAsync("QUIT"));

        await second.AskAsync("USER ann@example.org");
        Assert.Equal("+OK 2 messages (32 octets)", await second.AskAsync("PASS secret"));
    }

    [Fact]
    public async Task Mail_that_arrives_meanwhile_belongs_to_the_next_session()
    {
        var wire = await LoggedInAsync();
        _harness.Maildrops.AddMessage(_harness.AnnId, "Subject: 3\r\n\r\n3\r\n");
        Assert.Equal("+OK 2 32", await wire.AskAsync("STAT"));
        Assert.Equal("-ERR no such message", await wire.AskAsync("RETR 3"));
        await wire.AskAsync("DELE 1");
        await wire.AskAsync("DELE 2");
        Assert.Equal("+OK bye", await wire.AskAsync("QUIT"));
        Assert.Equal([0x30000], _harness.Maildrops.Uids);
    }

    [Fact]
    public async Task Without_QUIT_nothing_is_deleted_and_the_maildrop_is_free()
    {
        var wire = await LoggedInAsync();
        await wire.AskAsync("DELE 1");
        await wire.DisconnectAsync();
        await wire.Served;
        Assert.Equal([0x10000, 0x20000], _harness.Maildrops.Uids);
        Assert.False(_harness.Maildrops.IsLocked(_harness.AnnId));
    }

    [Fact]
    public async Task A_lost_lease_ends_the_session_without_deleting()
    {
        using var lost = _harness.Measure("mailpipeline.mailbox.leases.lost");
        var wire = await LoggedInAsync();
        await wire.AskAsync("DELE 1");
        _harness.Maildrops.Steal(_harness.AnnId);

        _harness.Time.Advance(_harness.Options.LeaseRenewalInterval);

        await wire.Served;
        Assert.Equal("", await wire.RestAsync());
        Assert.Equal([0x10000, 0x20000], _harness.Maildrops.Uids);
        Assert.True(_harness.Maildrops.IsLocked(_harness.AnnId)); // by the thief
        Assert.Equal(1, lost.LastMeasurement?.Value);
    }

    [Fact]
    public async Task A_lease_lost_unnoticed_is_noticed_at_QUIT()
    {
        using var commits = _harness.Measure("mailpipeline.mailbox.commits");
        var wire = await LoggedInAsync();
        await wire.AskAsync("DELE 1");
        _harness.Maildrops.Steal(_harness.AnnId);
        Assert.Equal("-ERR [SYS/TEMP] no message was deleted", await wire.AskAsync("QUIT"));
        Assert.Equal([0x10000, 0x20000], _harness.Maildrops.Uids);
        Assert.Equal("lease_lost", commits.LastMeasurement?.Tags["result"]);
    }

    [Fact]
    public async Task The_lease_is_renewed_while_the_session_lasts_and_a_failed_renewal_ends_nothing()
    {
        var wire = await LoggedInAsync();
        _harness.Maildrops.Faults["RenewAsync"] = StorageFault.Unavailable;
        for (var tick = 0; tick < 3; tick++)
        {
            var renewed = _harness.Maildrops.Renewed.Task;
            _harness.Time.Advance(_harness.Options.LeaseRenewalInterval);
            await renewed.WaitAsync(TestContext.Current.CancellationToken);
        }
        await wire.AskAsync("DELE 2");
        Assert.Equal("+OK bye", await wire.AskAsync("QUIT"));
        Assert.Equal([0x10000], _harness.Maildrops.Uids);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task More_deletions_than_fit_a_piece_are_told_as_some_when_a_later_piece_fails(bool lost)
    {
        using var deleted = _harness.Measure("mailpipeline.mailbox.messages.deleted");
        for (var message = 1; message <= (2 * MaildropStore.MostDeletions) + 1; message++)
            _harness.Maildrops.AddMessage(_harness.AnnId, "Subject: x\r\n\r\nx\r\n");
        var wire = await LoggedInAsync();
        for (var message = 1; message <= (2 * MaildropStore.MostDeletions) + 1; message++)
            await wire.AskAsync($"DELE {message}");

        _harness.Maildrops.DeletionsBeforeFault = 2;
        if (lost)
            _harness.Maildrops.StealAfterDeletions = 2;
        else
            _harness.Maildrops.Faults["DeleteAsync"] = StorageFault.Refused;
        Assert.Equal("-ERR [SYS/TEMP] some deleted messages not removed", await wire.AskAsync("QUIT"));

        await wire.Served;
        Assert.Single(_harness.Maildrops.Uids);
        Assert.Equal(lost, _harness.Maildrops.IsLocked(_harness.AnnId)); // by the thief
        Assert.Equal(2 * MaildropStore.MostDeletions, deleted.LastMeasurement?.Value);
    }

    [Theory]
    [InlineData(StorageFault.Unavailable)]
    [InlineData(StorageFault.Full)]
    public async Task A_commit_that_fails_is_told_and_the_maildrop_is_free(StorageFault fault)
    {
        var wire = await LoggedInAsync();
        await wire.AskAsync("DELE 1");
        _harness.Maildrops.Faults["DeleteAsync"] = fault;
        Assert.Equal("-ERR [SYS/TEMP] no message was deleted", await wire.AskAsync("QUIT"));
        await wire.Served;
        Assert.Equal([0x10000, 0x20000], _harness.Maildrops.Uids);
        Assert.False(_harness.Maildrops.IsLocked(_harness.AnnId));
    }

    [Fact]
    public async Task A_commit_of_unknown_outcome_gets_no_answer()
    {
        using var commits = _harness.Measure("mailpipeline.mailbox.commits");
        var wire = await LoggedInAsync();
        await wire.AskAsync("DELE 1");
        _harness.Maildrops.Faults["DeleteAsync"] = StorageFault.OutcomeUnknown;
        await wire.SendAsync("QUIT\r\n");
        Assert.Equal("", await wire.RestAsync());
        await wire.Served;
        Assert.Equal("unknown", commits.LastMeasurement?.Tags["result"]);
    }

    [Fact]
    public async Task QUIT_without_deletions_needs_no_commit()
    {
        var wire = await LoggedInAsync();
        _harness.Maildrops.Faults["DeleteAsync"] = StorageFault.Unavailable;
        Assert.Equal("+OK bye", await wire.AskAsync("QUIT"));
        Assert.False(_harness.Maildrops.IsLocked(_harness.AnnId));
    }

    [Theory]
    [InlineData("VerifyAsync")]
    [InlineData("LockAsync")]
    [InlineData("ListAsync")]
    public async Task Storage_that_fails_at_login_is_a_temporary_failure(string method)
    {
        _harness.Maildrops.Faults[method] = StorageFault.Unavailable;
        var wire = _harness.Connect();
        await wire.LineAsync();
        await wire.AskAsync("USER ann@example.org");
        Assert.Equal("-ERR [SYS/TEMP] the maildrop cannot be opened now", await wire.AskAsync("PASS secret"));
        Assert.False(_harness.Maildrops.IsLocked(_harness.AnnId));

        _harness.Maildrops.Faults.Clear();
        await wire.AskAsync("USER ann@example.org");
        Assert.StartsWith("+OK", await wire.AskAsync("PASS secret"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unlock_that_fails_ends_quietly()
    {
        var wire = await LoggedInAsync();
        _harness.Maildrops.Faults["UnlockAsync"] = StorageFault.Unavailable;
        Assert.Equal("+OK bye", await wire.AskAsync("QUIT"));
        await wire.Served;
        Assert.Contains(_harness.Log.GetSnapshot(), record => record.Id.Id == 4017);
    }

    [Fact]
    public async Task Many_sessions_of_many_users_run_side_by_side()
    {
        var users = Enumerable.Range(0, 50).Select(number => $"user{number}@example.org").ToArray();
        foreach (var user in users)
            _harness.Maildrops.AddMessage(_harness.Maildrops.AddAccount(user, user), $"Subject: {user}\r\n\r\n{user}\r\n");

        await Task.WhenAll(users.Select(async user =>
        {
            var wire = _harness.Connect();
            await wire.LineAsync();
            await wire.AskAsync($"USER {user}");
            Assert.StartsWith("+OK 1 ", await wire.AskAsync($"PASS {user}"), StringComparison.Ordinal);
            Assert.Contains($"\r\n{user}\r\n.\r\n", await wire.AskForLinesAsync("RETR 1"), StringComparison.Ordinal);
            await wire.AskAsync("DELE 1");
            Assert.Equal("+OK bye", await wire.AskAsync("QUIT"));
        }));
        Assert.Empty(_harness.Maildrops.Uids);
    }

    private async Task<Pop3Wire> LoggedInAsync()
    {
        if (_harness.Maildrops.Uids.Length == 0)
        {
            _harness.Maildrops.AddMessage(_harness.AnnId, "Subject: 1\r\n\r\n\r\n");
            _harness.Maildrops.AddMessage(_harness.AnnId, "Subject: 2\r\n\r\n\r\n");
        }
        var wire = _harness.Connect();
        await wire.LogInAsync();
        return wire;
    }
}
