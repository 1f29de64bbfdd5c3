using MailPipeline.Delivery.Routing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Tests;

/// <summary>Where a stranger's policy may lead us.</summary>
public sealed class PolicyHostsTests
{
    [Theory]
    [InlineData("192.0.2.1,2001:db8::1", "192.0.2.1:443 [2001:db8::1]:443")]
    [InlineData("127.0.0.1", "")]
    [InlineData("10.1.2.3,192.0.2.1", "192.0.2.1:443")]
    [InlineData("169.254.169.254,192.0.2.9", "")]
    [InlineData("64:ff9b::7f00:1", "")]
    public async Task Neither_to_this_machine_nor_where_mail_may_not_go(string addresses, string expected)
    {
        await using var bench = new Bench(options =>
            (options.LocalAddresses, options.PrivateAddresses, options.OwnAddresses) = (AddressRule.Refuse, AddressRule.Refuse, ["192.0.2.9"]));
        bench.Dns.WithAddress("mta-sts.example.net", addresses.Split(','));
        var options = Options.Create(bench.Options);
        var hosts = new PolicyHosts(
            new AddressLookUp(bench.Dns, bench.Unanswered, options, Options.Create(bench.DnsOptions), bench.Time, new Random(1)), new LocalAddresses(options, bench.Time));
        Assert.Equal(expected, string.Join(' ', await hosts.FindAsync("mta-sts.example.net")));
        Assert.Empty(await hosts.FindAsync("mta-sts.example.org"));
    }
}
