namespace MailPipeline.Mail.Tests;

/// <summary>Who reads what is written to the host, on both engines.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task The_hosts_postmaster_is_looked_for_in_the_first_ten_domains_and_no_more_are_read()
    {
        for (var i = 10; i < 22; i++)
            await Store.Directory.AddDomainAsync($"d{i}.example");
        var postmaster = new HostPostmaster(new AddressResolver(Store.Directory), Store.Directory);

        Assert.Equal(Enumerable.Range(10, 10).Select(i => $"d{i}.example"), await Store.Directory.FirstDomainsAsync(10, default));
        await Store.Directory.AddAccountAsync("postmaster@d20.example", "hash");
        Assert.Null(await postmaster.FindAsync("mx.example.net", named: "", default));
        await Store.Directory.AddAccountAsync("postmaster@d19.example", "hash");
        Assert.Equal("postmaster@d19.example", await postmaster.FindAsync("mx.example.net", named: "", default));
    }

    [Fact]
    public async Task The_first_domains_are_remembered_like_every_other_answer_of_the_directory()
    {
        await Store.Directory.AddDomainAsync("example.org");
        Assert.Equal(["example.org"], await Store.Directory.FirstDomainsAsync(10, default));
        await Store.RunAsync("INSERT INTO domains (name, created_at) VALUES ('example.com', 0)");
        Assert.Equal(["example.org"], await Store.Directory.FirstDomainsAsync(10, default));

        Store.Time.Advance(Store.MailStoreOptions.DirectoryCacheTime);
        Assert.Equal(["example.com", "example.org"], await Store.Directory.FirstDomainsAsync(10, default));
        await Store.Directory.AddDomainAsync("a.example");
        Assert.Equal(["a.example", "example.com", "example.org"], await Store.Directory.FirstDomainsAsync(10, default));
    }
}
