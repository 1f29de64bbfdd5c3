using System.Text;
using MailPipeline.Mail;
using MailPipeline.Mailbox.Tests.Kit;

namespace MailPipeline.Mailbox.Tests;

/// <summary>The fence of a maildrop in the store, with leases that are over as soon as they are given.</summary>
public sealed class MaildropLeaseTests
{
    private static readonly TimeSpan Over = TimeSpan.FromMinutes(-1);

    [Fact]
    public async Task A_lease_that_ran_out_is_kept_as_long_as_nobody_took_it()
    {
        await using var host = await MailboxHost.StartAsync();
        host.Get<MailStoreOptions>().MaildropLease = Over;
        var (ann, uid) = await AnnAsync(host);
        var lease = await host.Maildrops.LockAsync(ann.Id, default);
        Assert.NotNull(lease);
        Assert.Equal(LeaseUpdate.Applied, await host.Maildrops.RenewAsync(lease, default));
        Assert.Equal(LeaseUpdate.Applied, await host.Maildrops.DeleteAsync(lease, [uid], goesOn: false, default));
        Assert.Empty(await host.Maildrops.ListAsync(ann.Id, default));
    }

    [Fact]
    public async Task A_lease_that_somebody_took_is_worth_nothing()
    {
        await using var host = await MailboxHost.StartAsync();
        host.Get<MailStoreOptions>().MaildropLease = Over;
        var (ann, uid) = await AnnAsync(host);
        var late = await host.Maildrops.LockAsync(ann.Id, default);
        var taken = await host.Maildrops.LockAsync(ann.Id, default);
        Assert.NotNull(late);
        Assert.NotNull(taken);
        Assert.Equal(LeaseUpdate.LeaseLost, await host.Maildrops.RenewAsync(late, default));
        Assert.Equal(LeaseUpdate.LeaseLost, await host.Maildrops.DeleteAsync(late, [uid], goesOn: false, default));
        Assert.Single(await host.Maildrops.ListAsync(ann.Id, default));
        await host.Maildrops.UnlockAsync(late, default);
        Assert.Equal(LeaseUpdate.Applied, await host.Maildrops.RenewAsync(taken, default));
    }

    [Fact]
    public async Task A_lease_that_runs_is_nobody_elses()
    {
        await using var host = await MailboxHost.StartAsync();
        var (ann, _) = await AnnAsync(host);
        Assert.NotNull(await host.Maildrops.LockAsync(ann.Id, default));
        Assert.Null(await host.Maildrops.LockAsync(ann.Id, default));
    }

    private static async Task<(Account Account, long Uid)> AnnAsync(MailboxHost host)
    {
        var ann = await host.AddAccountAsync("ann@example.org");
        await host.StoreAsync(await host.QueueAsync(Encoding.ASCII.GetBytes("Subject: x\r\n\r\n"), "", "ann@example.org"));
        return (ann, (await host.Maildrops.ListAsync(ann.Id, default))[0].Uid);
    }
}
