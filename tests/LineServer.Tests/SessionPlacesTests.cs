using System.Net;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.LineServer.Tests;

/// <summary>Who fills a door shuts out as few others as can be.</summary>
public sealed class SessionPlacesTests
{
    private static readonly IPAddress s_user = IPAddress.Parse("198.51.100.1");

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void A_place_is_given_back_once_however_often_it_is_disposed()
    {
        var places = Places(strangers: 1);
        var place = places.TryTake(s_user, out _)!;
        Assert.Null(places.TryTake(Stranger(1), out var limit));
        Assert.Equal("total", limit);
        place.Dispose();
        place.Dispose();
        Assert.NotNull(places.TryTake(Stranger(2), out _));
        Assert.Null(places.TryTake(Stranger(3), out _));
    }

    [Fact]
    public void A_network_of_IPv6_is_one_client_and_a_socket_for_both_families_hides_no_IPv4()
    {
        var places = Places(strangers: 100, ofNetwork: 2);
        Assert.NotNull(places.TryTake(IPAddress.Parse("2001:db8:1:2::1"), out _));
        Assert.NotNull(places.TryTake(IPAddress.Parse("2001:db8:1:2:ffff::9"), out _));
        Assert.Null(places.TryTake(IPAddress.Parse("2001:db8:1:2::3"), out var limit));
        Assert.Equal("address", limit);
        Assert.NotNull(places.TryTake(IPAddress.Parse("2001:db8:1:3::1"), out _));

        Assert.NotNull(places.TryTake(IPAddress.Parse("192.0.2.1"), out _));
        Assert.NotNull(places.TryTake(IPAddress.Parse("::ffff:192.0.2.1"), out _));
        Assert.Null(places.TryTake(IPAddress.Parse("192.0.2.1"), out _));
    }

    [Fact]
    public void Who_logs_in_leaves_his_place_to_strangers_up_to_a_bound()
    {
        var places = Places(strangers: 2, loggedIn: 3, ofNetwork: 100);
        List<SessionPlaces.Place> users = [];
        while (places.TryTake(s_user, out _) is { } place)
        {
            place.LoggedIn();
            place.LoggedIn();
            users.Add(place);
        }

        // Three that leave their places, and two that keep them.
        Assert.Equal(5, users.Count);
        foreach (var place in users)
            place.Dispose();
        Assert.NotNull(places.TryTake(Stranger(1), out _));
        Assert.NotNull(places.TryTake(Stranger(2), out _));
        Assert.Null(places.TryTake(Stranger(3), out _));
    }

    [Fact]
    public void The_last_places_are_for_networks_that_have_logged_in_lately()
    {
        var places = Places(strangers: 10, keepsPlaces: true);
        using (var login = places.TryTake(s_user, out _)!)
            login.LoggedIn();
        var strangers = 0;
        while (places.TryTake(Stranger(strangers), out _) is not null)
            strangers++;
        Assert.Equal(9, strangers);
        Assert.True(places.IsNearlyFull);

        var user = places.TryTake(s_user, out _);
        Assert.NotNull(user);
        user.Dispose();
        _time.Advance(TimeSpan.FromDays(1));
        Assert.Null(places.TryTake(s_user, out _));
    }

    private SessionPlaces Places(int strangers, int loggedIn = 100, int ofNetwork = 100, bool keepsPlaces = false) =>
        new(new SessionLimits(strangers, loggedIn, ofNetwork, PrefixIPv6: 64, keepsPlaces), _time);

    private static IPAddress Stranger(int number) => new([192, 0, 2, (byte)number]);
}
