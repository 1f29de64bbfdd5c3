using MailPipeline.Architecture.Tests.Rules;

namespace MailPipeline.Architecture.Tests;

/// <summary>A rule of the house, and a tree that breaks it: a rule that cannot fail proves nothing.</summary>
/// <param name="Broken">Files of a tree that breaks the rule once.</param>
/// <param name="Expected">Part of the one complaint about it.</param>
/// <param name="Mended">The same files as they should be, where that is not the empty tree.</param>
internal sealed record Rule(
    Func<Tree, IEnumerable<string>> Check, (string Path, string Text)[] Broken, string Expected, (string Path, string Text)[] Mended)
{
    public string Name => Check.Method.Name;
}

/// <summary>All rules.</summary>
internal static class RuleTable
{
    private const string Empty = "<Project Sdk=\"Microsoft.NET.Sdk\" />";

    private static readonly (string, string) Smtp = ("shared/Smtp/Smtp.csproj", Empty);
    private static readonly (string, string) Ingress = ("services/Ingress/Ingress.csproj", Empty);
    private static readonly (string, string) Mail = ("shared/Mail/Mail.csproj", Empty);
    private static readonly (string, string) Queue = ("services/Queue/Queue.csproj", Empty);
    private static readonly (string, string) Delivery = ("services/Delivery/Delivery.csproj", Empty);
    private static readonly (string, string) Mailbox = ("services/Mailbox/Mailbox.csproj", Empty);

    public static IReadOnlyList<Rule> All { get; } =
    [
        new(ReferenceRules.References_point_down,
            [Queue, ("services/Mailbox/Mailbox.csproj", References("../Queue/Queue.csproj"))],
            "services/Mailbox/Mailbox.csproj must not reference services/Queue/Queue.csproj",
            [Queue, Smtp, ("services/Mailbox/Mailbox.csproj", References("../../shared/Smtp/Smtp.csproj")),
                ("services/Standalone/Standalone.csproj", References("../Queue/Queue.csproj"))]),
        new(ReferenceRules.References_point_down,
            [Queue, ("services/Commands/Commands.csproj", References("../Queue/Queue.csproj"))],
            "services/Commands/Commands.csproj must not reference services/Queue/Queue.csproj", []),
        new(ReferenceRules.References_point_down,
            [Smtp, ("shared/Contracts/Contracts.csproj", References("../Smtp/Smtp.csproj"))],
            "shared/Contracts/Contracts.csproj must not reference shared/Smtp/Smtp.csproj", []),
        new(ReferenceRules.References_point_down,
            [Queue, ("shared/Storage/Storage.csproj", References(@"..\..\services\Queue\Queue.csproj"))],
            "shared/Storage/Storage.csproj must not reference services/Queue/Queue.csproj", []),
        new(ReferenceRules.References_point_down,
            [("shared/Storage/Storage.csproj", Empty), ("shared/Dns/Dns.csproj", References("../Storage/Storage.csproj"))],
            "shared/Dns/Dns.csproj must not reference shared/Storage/Storage.csproj",
            [("shared/ServiceDefaults/ServiceDefaults.csproj", Empty), ("shared/Dns/Dns.csproj", References("../ServiceDefaults/ServiceDefaults.csproj")),
                ("services/Delivery/Delivery.csproj", References("../../shared/Dns/Dns.csproj"))]),
        new(ReferenceRules.References_point_down,
            [("tests/Testing/Testing.csproj", Empty), ("services/Queue/Queue.csproj", References("../../tests/Testing/Testing.csproj"))],
            "services/Queue/Queue.csproj must not reference tests/Testing/Testing.csproj",
            [("tests/Testing/Testing.csproj", Empty), ("tests/Queue.Tests/Queue.Tests.csproj", References("../Testing/Testing.csproj"))]),
        new(ReferenceRules.References_exist,
            [("services/Queue/Queue.csproj", References("../../shared/Smtp/Smtp.csproj"))], "which does not exist",
            [Smtp, ("services/Queue/Queue.csproj", References("../../shared/Smtp/Smtp.csproj"))]),
        new(ReferenceRules.Nothing_is_referenced_unsaid,
            [("Directory.Build.props", "<Project />")], "Directory.Build.props does not set DisableTransitiveProjectReferences",
            [("Directory.Build.props", "<DisableTransitiveProjectReferences>true</DisableTransitiveProjectReferences>")]),
        new(ReferenceRules.Nothing_is_referenced_unsaid,
            [("Directory.Build.props", "<DisableTransitiveProjectReferences>true</DisableTransitiveProjectReferences>"),
                ("services/Queue/Queue.csproj", "<Project><PropertyGroup><DisableTransitiveProjectReferences>false</DisableTransitiveProjectReferences></PropertyGroup></Project>")],
            "services/Queue/Queue.csproj must not set DisableTransitiveProjectReferences", []),
        new(ReferenceRules.Contracts_Sasl_and_Smtp_depend_on_nothing,
            [("shared/Smtp/Smtp.csproj", Packages("MimeKit"))], "must not need the package MimeKit",
            [Smtp, ("shared/Contracts/Contracts.csproj", Packages("Microsoft.Orleans.Serialization.Abstractions"))]),
        new(ReferenceRules.Contracts_Sasl_and_Smtp_depend_on_nothing,
            [("shared/Smtp/Smtp.csproj", "<Project Sdk=\"Microsoft.NET.Sdk.Web\" />")], "must use Microsoft.NET.Sdk", []),
        new(ReferenceRules.Contracts_Sasl_and_Smtp_depend_on_nothing,
            [("shared/Smtp/Smtp.csproj", """
                <Project Sdk="Microsoft.NET.Sdk"><ItemGroup><FrameworkReference Include="Microsoft.AspNetCore.App" /></ItemGroup></Project>
                """)],
            "must not need the framework Microsoft.AspNetCore.App", []),
        new(ReferenceRules.Packages_stay_with_their_owners,
            [("services/Delivery/Delivery.csproj", Packages("MailKit"))], "must not need the package MailKit",
            [("tests/Queue.Tests/Queue.Tests.csproj", Packages("MailKit")), ("tests/Testing.Tests/Testing.Tests.csproj", Packages("DnsClient"))]),
        new(ReferenceRules.Packages_stay_with_their_owners,
            [("services/Queue/Queue.csproj", Packages("Aspire.Npgsql"))], "must not need the package Aspire.Npgsql",
            [("AppHost/AppHost.csproj", Packages("Aspire.Hosting.Redis"))]),
        new(ReferenceRules.LineServer_knows_no_protocol,
            [("shared/LineServer/LineServer.csproj", Empty), ("shared/LineServer/Dialogue.cs", "var session = new SmtpSession(profile);")],
            "must not know SmtpSession",
            [("shared/LineServer/LineServer.csproj", Empty), ("shared/LineServer/Dialogue.cs", "using MailPipeline.Smtp; // SMTP and POP3\nvar lines = new LineReader(0);")]),
        new(ReferenceRules.LineServer_knows_no_protocol,
            [("shared/LineServer/Dialogue.cs", "var store = new Mail.MessageStore(database);")], "must not know Mail.M", []),
        new(ReferenceRules.Packages_stay_with_their_owners,
            [("shared/Administration/Administration.csproj", Packages("Spectre.Console"))], "must not need the package Spectre.Console",
            [("services/Commands/Commands.csproj", Packages("Spectre.Console"))]),
        new(ReferenceRules.Mail_maps_contracts_in_one_file,
            [("shared/Mail/Queue/Round.cs", "using MailPipeline.Contracts;\n")], "shared/Mail/Queue/Round.cs must not use contracts",
            [("shared/Mail/ContractMapping.cs", "using MailPipeline.Contracts;\n")]),
        new(ReferenceRules.Mail_maps_contracts_in_one_file,
            [("shared/Mail/Queue/Round.cs", "namespace MailPipeline.Mail;\nvar sent = new Contracts.DeliverMessages();\n")], "must not use contracts",
            [("shared/Mail/Queue/Round.cs", "namespace MailPipeline.Mail;\n// Contracts. They are mapped elsewhere.\n")]),
        new(ReferenceRules.Versions_are_central,
            [("services/Queue/Queue.csproj", """
                <Project Sdk="Microsoft.NET.Sdk"><ItemGroup><PackageReference Include="MimeKit" Version="4.18.2" /></ItemGroup></Project>
                """)],
            "names a version of MimeKit", [("services/Queue/Queue.csproj", Packages("MimeKit"))]),
        new(ReferenceRules.MassTransit_stays_at_8,
            [("Directory.Packages.props", "<PackageVersion Include=\"MassTransit.RabbitMQ\" Version=\"9.0.1\" />")], "9.0.1",
            [("Directory.Packages.props", "<PackageVersion Include=\"MassTransit.RabbitMQ\" Version=\"8.5.12\" />")]),

        new(SolutionRules.Every_project_is_in_the_solution,
            [Queue, ("MailPipeline.sln", "")], "services/Queue/Queue.csproj is not in MailPipeline.sln",
            [Queue, ("MailPipeline.sln", Listed("services\\Queue\\Queue.csproj"))]),
        new(SolutionRules.Every_project_of_the_solution_exists,
            [("MailPipeline.sln", Listed("services\\Queue\\Queue.csproj"))], "which does not exist",
            [Queue, ("MailPipeline.sln", Listed("services\\Queue\\Queue.csproj"))]),
        new(SolutionRules.Every_part_has_its_tests,
            [Queue], "services/Queue/Queue.csproj has no tests/Queue.Tests/Queue.Tests.csproj",
            [Queue, ("tests/Queue.Tests/Queue.Tests.csproj", Empty)]),
        new(SolutionRules.AppHost_is_not_built_by_default,
            [("MailPipeline.sln", Listed("AppHost\\AppHost.csproj") + "\n{0A}.Debug|Any CPU.ActiveCfg = x\n{0A}.Debug|Any CPU.Build.0 = x")],
            "builds AppHost by default",
            [("MailPipeline.sln", Listed("AppHost\\AppHost.csproj") + "\n{0A}.Debug|Any CPU.ActiveCfg = x\n{0A}.Aspire|Any CPU.Build.0 = x")]),

        new(NameRules.No_project_is_a_drawer, [("shared/Common/Common.csproj", Empty)], "shared/Common/Common.csproj", [Smtp]),
        new(NameRules.No_type_is_named_vaguely,
            [("services/Queue/Retry.cs", "internal sealed partial class RetryManager\n")], "RetryManager",
            [("services/Queue/Retry.cs", "// class RetryManager was wrong\ninternal sealed class RetrySchedule;\npublic class ManagerOfNothing;\n")]),
        new(NameRules.No_type_is_named_vaguely,
            [("shared/Smtp/Reply.cs", "public readonly record struct ReplyInfo(int Code);\n")], "ReplyInfo", []),
        new(NameRules.A_type_name_names_one_type,
            [("services/Delivery/Waits.cs", "namespace MailPipeline.Delivery;\ninternal enum WaitReason\n"),
                ("shared/Administration/Wait.cs", "namespace MailPipeline.Administration;\npublic abstract record WaitReason\n")],
            "WaitReason is declared in services/Delivery/Waits.cs and shared/Administration/Wait.cs",
            [("services/Delivery/Waits.cs", "namespace MailPipeline.Delivery;\ninternal sealed partial class Waits\n{\n    private enum Kind { }\n}\nfile class Words\n"),
                ("services/Delivery/Waits.Log.cs", "namespace MailPipeline.Delivery;\ninternal sealed partial class Waits\n"),
                ("services/Queue/Kind.cs", "namespace MailPipeline.Queue;\ninternal enum Kind\nfile class Words\n")]),
        new(NameRules.No_file_is_named_Extensions,
            [("services/Queue/ServiceCollectionExtensions.cs", "")], "ServiceCollectionExtensions.cs", [("services/Queue/QueueHosting.cs", "")]),
        new(NameRules.Namespaces_match_folders,
            [Queue, ("services/Queue/Routing/Router.cs", "namespace MailPipeline.Routing;\n")], "its place says MailPipeline.Queue.Routing",
            [Queue, ("services/Queue/Routing/Router.cs", "namespace MailPipeline.Queue.Routing;\n"), ("services/Queue/Routing/Route.cs", "namespace MailPipeline.Queue;\n")]),

        new(RoomRules.Rooms_use_what_lies_below_them,
            [Queue, ("services/Queue/Reports/Report.cs", "using MailPipeline.Queue.Domains;\n")], "services/Queue/Reports/Report.cs: Reports must not use Domains",
            [Queue, ("services/Queue/Domains/Outcome.cs", "using MailPipeline.Queue.Reports;\n"), ("services/Queue/QueueHosting.cs", "using MailPipeline.Queue.Routing;\n")]),
        new(RoomRules.Rooms_use_what_lies_below_them,
            [Queue, ("services/Queue/Domains/Window.cs", "var router = new MailPipeline.Queue.Routing.Router();\n")], "Domains must not use Routing", []),
        new(RoomRules.Rooms_use_what_lies_below_them,
            [Queue, ("services/Queue/Reports/Report.cs", "namespace MailPipeline.Queue.Reports;\nvar queue = new Domains.DomainQueue();\n")],
            "Reports must not use Domains",
            [Queue, ("services/Queue/Reports/Report.cs", "namespace MailPipeline.Queue.Reports;\n// Of all Domains. They wait.\nvar count = report.Domains.Count;\n")]),
        new(RoomRules.Rooms_use_what_lies_below_them,
            [Queue, ("services/Queue/Reports/Report.cs", "namespace MailPipeline.Queue.Reports;\nvar queue = new Queue.Domains.DomainQueue();\n")],
            "Reports must not use Domains", []),
        new(RoomRules.Rooms_use_what_lies_below_them,
            [Mailbox, ("services/Mailbox/Pop3/Pop3Server.cs", "using MailPipeline.Mailbox.Maildrops;\n")], "Pop3 must not use Maildrops",
            [Mailbox, ("services/Mailbox/MailboxHosting.cs", "using MailPipeline.Mailbox.Maildrops;\n")]),
        new(RoomRules.Rooms_use_what_lies_below_them,
            [Mailbox, ("services/Mailbox/Maildrops/Store.cs", "namespace MailPipeline.Mailbox.Maildrops;\nvar session = new Pop3.Pop3Session();\n")],
            "Maildrops must not use Pop3", []),
        new(RoomRules.Rooms_use_what_lies_below_them,
            [Delivery, ("services/Delivery/Batches/DeliveryBatch.cs", "namespace MailPipeline.Delivery.Batches;\nSmtp.SmtpClientConnection connection;\n")],
            "Batches must not use Smtp",
            [Delivery, ("services/Delivery/Batches/DeliveryBatch.cs", "using MailPipeline.Smtp;\nusing MailPipeline.Delivery.Claims;\n")]),
        new(RoomRules.Rooms_use_what_lies_below_them,
            [Ingress, ("services/Ingress/Headers/HeaderSection.cs", "namespace MailPipeline.Ingress.Headers;\nChecks.ICheck check;\n")],
            "Headers must not use Checks",
            [Ingress, ("services/Ingress/Checks/OwnAuthorCheck.cs", "using MailPipeline.Ingress.Headers;\n")]),
        new(RoomRules.Rooms_use_what_lies_below_them,
            [Mail, ("shared/Mail/Maildrops/MaildropStore.cs", "namespace MailPipeline.Mail;\npublic sealed class MaildropStore\n"),
                ("shared/Mail/Directory/MailDirectory.cs", "namespace MailPipeline.Mail;\npublic sealed class MailDirectory(MaildropStore maildrops)\n")],
            "shared/Mail/Directory/MailDirectory.cs: Directory must not use Maildrops",
            [Mail, ("shared/Mail/Maildrops/MaildropStore.cs", "namespace MailPipeline.Mail;\npublic sealed class MaildropStore(MailDirectory directory)\n"),
                ("shared/Mail/Directory/MailDirectory.cs", "namespace MailPipeline.Mail;\n/// <see cref=\"MaildropStore\"/>\npublic sealed class MailDirectory\n"),
                ("shared/Mail/MailHosting.cs", "services.AddSingleton<MaildropStore>();\n")]),
        new(RoomRules.Rooms_do_not_use_what_puts_them_together,
            [Ingress, ("services/Ingress/SmtpServer.cs", "using MailPipeline.Ingress.Checks;\nnamespace MailPipeline.Ingress;\ninternal sealed class SmtpServer(CheckTable checks)\n"),
                ("services/Ingress/Checks/RateCheck.cs", "namespace MailPipeline.Ingress.Checks;\ninternal sealed class RateCheck(SmtpServer server)\n")],
            "services/Ingress/Checks/RateCheck.cs: Checks must not use SmtpServer, which uses rooms",
            [Ingress, ("services/Ingress/SmtpServer.cs", "using MailPipeline.Ingress.Checks;\nnamespace MailPipeline.Ingress;\ninternal sealed class SmtpServer(CheckTable checks)\n"),
                ("services/Ingress/IngressTelemetry.cs", "namespace MailPipeline.Ingress;\ninternal sealed class IngressTelemetry\n"),
                ("services/Ingress/IngressOptions.cs", "using MailPipeline.Ingress.Checks;\nnamespace MailPipeline.Ingress;\npublic sealed class IngressOptions\n"),
                ("services/Ingress/Checks/RateCheck.cs", "/// <see cref=\"SmtpServer\"/>\ninternal sealed class RateCheck(IngressTelemetry telemetry, IngressOptions options)\n")]),
        new(RoomRules.Contracts_are_mapped_where_the_bus_is,
            [Ingress, ("services/Ingress/Checks/RelayRecipientCheck.cs", "using MailPipeline.Contracts;\n")], "services/Ingress/Checks/RelayRecipientCheck.cs must not use contracts",
            [Ingress, ("services/Ingress/NextHops/RecipientQuestions.cs", "using MailPipeline.Contracts;\n"),
                ("services/Ingress/AcceptedMessagePublisher.cs", "using MailPipeline.Contracts;\n")]),
        new(RoomRules.Contracts_are_mapped_where_the_bus_is,
            [Delivery, ("services/Delivery/Smtp/RecipientProbe.cs", "namespace MailPipeline.Delivery.Smtp;\nContracts.RecipientAnswer answer;\n")],
            "must not use contracts", [Delivery, ("services/Delivery/Intake/BatchIntake.cs", "using MailPipeline.Contracts;\n")]),
        new(RoomRules.Rooms_have_a_namespace_of_their_own,
            [Queue, ("services/Queue/Routing/Router.cs", "namespace MailPipeline.Queue;\n")], "the namespace must be MailPipeline.Queue.Routing",
            [Queue, ("services/Queue/Routing/Router.cs", "namespace MailPipeline.Queue.Routing;\n"), ("services/Queue/TickLoop.cs", "namespace MailPipeline.Queue;\n")]),
        new(RoomRules.No_room_is_open_to_a_whole_project,
            [Queue, ("services/Queue/Usings.cs", "global using MailPipeline.Queue.Domains;\n")], "services/Queue/Usings.cs opens Domains to all of Queue",
            [Queue, ("services/Queue/Usings.cs", "global using MailPipeline.Mail;\n"), ("services/Queue/QueueHosting.cs", "using MailPipeline.Queue.Domains;\n")]),
        new(RoomRules.No_room_is_open_to_a_whole_project,
            [("services/Queue/Queue.csproj", "<Project><ItemGroup><Using Include=\"MailPipeline.Queue.Reports\" /></ItemGroup></Project>")],
            "opens Reports to all of Queue", [Queue]),
        new(RoomRules.Every_room_beside_a_wall_is_in_the_list,
            [Queue, ("services/Queue/Quotas/Quota.cs", "")], "nothing is said of what Quotas may use", [Queue, ("services/Queue/Routing/Router.cs", "")]),
        new(RoomRules.Every_room_beside_a_wall_is_in_the_list,
            [Mailbox, ("services/Mailbox/Imap/ImapSession.cs", "")], "nothing is said of what Imap may use",
            [Mailbox, ("services/Mailbox/Pop3/Pop3Session.cs", "")]),
        new(RoomRules.Every_room_beside_a_wall_is_in_the_list,
            [Mail, ("shared/Mail/Filters/Filter.cs", "")], "nothing is said of what Filters may use", [Mail, ("shared/Mail/Queue/QueueStore.cs", ""), ("shared/Mail/Envelope.cs", "")]),
        new(RoomRules.A_check_is_a_file_of_its_own,
            [("services/Ingress/SmtpServer.cs", "internal sealed class RateCheck(\n    Rates rates)\n    : ICheck\n{\n")],
            "services/Ingress/SmtpServer.cs: the place of RateCheck is services/Ingress/Checks/RateCheck.cs",
            [("services/Ingress/Checks/RateCheck.cs", "internal sealed class RateCheck(\n    Rates rates)\n    : ICheck\n{\n"),
                ("services/Ingress/Checks/CheckTable.cs", "internal sealed class CheckTable(RateCheck rate)\n{\n    private readonly ICheck[] _sender = [rate];\n")]),
        new(RoomRules.A_check_is_a_file_of_its_own,
            [("services/Ingress/Checks/RateCheck.cs", "internal sealed class RateCheck : ICheck\n{\n}\ninternal sealed class HelloCheck : ICheck\n{\n}\n")],
            "the place of HelloCheck is services/Ingress/Checks/HelloCheck.cs", []),

        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("shared/Mail/Queue/QueueStore.cs", "new(\"UPDATE recipients SET state = 1\")")],
            "shared/Mail/Queue/QueueStore.cs: 'UPDATE recipients' belongs into shared/Mail/Queue/OutcomeWriter.cs or shared/Mail/Queue/OutcomeWriter.Operators.cs, where it is written what became",
            [("shared/Mail/Queue/OutcomeWriter.cs", "new(\"UPDATE recipients SET state = 1\")"), ("shared/Mail/Queue/QueueStore.cs", "new(\"INSERT INTO recipients\")")]),
        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("shared/Mail/Operators/OperatorStore.cs", "new(\"UPDATE recipients SET claim = $2, state = 5 WHERE id {in_1}\")")], "'UPDATE recipients' belongs into shared/Mail/Queue/OutcomeWriter.cs",
            [("shared/Mail/Queue/OutcomeWriter.Operators.cs", "new(\"UPDATE recipients SET claim = $2, state = 5 WHERE id {in_1}\")")]),
        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("shared/Mail/Maildrops/MaildropStore.cs", "new(\"UPDATE recipients SET claim = $3 WHERE id {in_1}\")")], "belongs into shared/Mail/Queue/ClaimStore.cs, where a claim is won",
            [("shared/Mail/Queue/ClaimStore.cs", "new(\"UPDATE recipients SET claim = $3 WHERE id {in_1}\")")]),
        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("shared/Mail/Queue/ClaimStore.cs", "new(\"UPDATE recipients SET claim = 0 WHERE id {in_1}\")")], "'UPDATE recipients' belongs into shared/Mail/Queue/OutcomeWriter.cs", []),
        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("shared/Mail/Queue/QueueStore.cs", "new(\"UPDATE recipients SET next_attempt_at = $2, updated_at = $2 WHERE id {in_1}\")")],
            "belongs into shared/Mail/Operators/FlushStore.cs, where recipients that wait become due",
            [("shared/Mail/Operators/FlushStore.cs", "new(\"UPDATE recipients SET next_attempt_at = $2, updated_at = $2 WHERE id {in_1}\")")]),
        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("services/Queue/Domains/Outcomes.cs", "\"\"\"\n    INSERT INTO attempts (recipient_id)\n\"\"\"")], "'INSERT INTO attempts' belongs into", []),
        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("shared/Mail/Queue/TakeBackStore.cs", "new(\"delete from claims WHERE id = $1\")")], "'delete from claims' belongs into", []),
        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("shared/Mail/Queue/ReportStore.cs", "new(\"INSERT INTO recipients (id, state) VALUES ($1, 1)\")")],
            "shared/Mail/Queue/ReportStore.cs: 'INSERT INTO recipients' belongs into shared/Mail/Queue/QueueStore.cs or shared/Mail/Queue/OutcomeWriter.Operators.cs",
            [("shared/Mail/Queue/QueueStore.cs", "new(\"INSERT INTO recipients (id) VALUES ($1)\")")]),
        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("shared/Mail/Queue/TakeBackStore.cs", "new(\"UPDATE claims SET lease_until = 0\")")], "'UPDATE claims' belongs into",
            [("shared/Mail/Queue/TakeBackStore.cs", "new(\"SELECT id FROM claims\")")]),
        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("shared/Mail/Operators/OperatorStore.cs", "new(\"UPDATE messages SET content_refs = 0\")")], "'SET content_refs' belongs into",
            [("shared/Mail/Content/ContentReferences.cs", "new(\"UPDATE messages SET content_refs = content_refs - $2\")")]),
        new(StatementRules.Each_kind_of_statement_has_its_place,
            [("services/Queue/Clean.cs", "new(\"DELETE FROM attempts WHERE 1 = 1\")")], "'DELETE FROM attempts' belongs into",
            [("shared/Mail/History/MessageHistory.cs", "new(\"DELETE FROM attempts WHERE recipient_id {in_1}\")")]),
        new(StatementRules.Each_place_has_statements_of_its_kind,
            [("shared/Mail/Operators/FlushStore.cs", "new(\"SELECT 1\")")], "shared/Mail/Operators/FlushStore.cs has no statement by which recipients that wait become due",
            [("shared/Mail/Operators/FlushStore.cs", "new(\"UPDATE recipients SET next_attempt_at = $2, updated_at = $2 WHERE id {in_1}\")")]),

        new(SourceRules.Administration_has_no_console,
            [("shared/Administration/Domains.cs", "        Console.WriteLine(domain);")], "Console.WriteLine(domain);",
            [("shared/Administration/Domains.cs", "        return new DomainAdded(domain);"), ("services/Commands/Terminal.cs", "Console.Out")]),
        new(SourceRules.No_file_is_longer_than_600_lines,
            [("services/Queue/Long.cs", new string('\n', 601))], "601 lines",
            [("services/Queue/Long.cs", new string('\n', 600)), ("tests/Queue.Tests/Long.cs", new string('\n', 900))]),
        new(SourceRules.Event_ids_are_in_range,
            [Queue, ("services/Queue/Log.cs", "[LoggerMessage(1001, LogLevel.Debug, \"\")]")], "1001 is not in 2000 to 2999",
            [Queue, ("services/Queue/Log.cs", "[LoggerMessage(2001, LogLevel.Debug, \"\")]")]),
        new(SourceRules.Event_ids_are_in_range,
            [Queue, ("services/Queue/Log.cs", "[LoggerMessage(LogLevel.Debug, \"\")]")], "0 is not in 2000 to 2999",
            [Queue, ("services/Queue/Log.cs", "[LoggerMessage(EventId = 2001, Level = LogLevel.Debug)]")]),
        new(SourceRules.Event_ids_are_unique,
            [Queue, ("services/Queue/A.cs", "[LoggerMessage(2001, LogLevel.Debug, \"\")]"), ("services/Queue/B.cs", "[LoggerMessage(2001, LogLevel.Debug, \"\")]")],
            "event id 2001 is used in services/Queue/A.cs and services/Queue/B.cs",
            [Queue, ("services/Queue/A.cs", "[LoggerMessage(2001, LogLevel.Debug, \"\")]"), ("services/Queue/B.cs", "[LoggerMessage(2002, LogLevel.Debug, \"\")]")]),
        new(SourceRules.A_message_id_in_the_log_has_its_key,
            [("services/Queue/Log.cs", "[LoggerMessage(2001, LogLevel.Debug,\n    \"Failures of {MessageId} wait\")]")], "Failures of {MessageId} wait",
            [("services/Queue/Log.cs", "[LoggerMessage(2001, LogLevel.Debug, \"message={MessageId} report={ReportId}\")]")]),
        new(SourceRules.Nothing_static_is_mutable,
            [("shared/Smtp/Counter.cs", "    private static int s_count;\n")], "s_count", [("shared/Smtp/Counter.cs", Immutable)]),
        new(SourceRules.Nothing_static_is_mutable,
            [("shared/Smtp/Counter.cs", "    internal static Dictionary<string, int> Counts = [];\n")], "Counts", []),
        new(SourceRules.Nothing_static_is_mutable,
            [("shared/Smtp/Counter.cs", "    private static (int, string)? s_last;\n")], "s_last", []),
        new(SourceRules.Nothing_static_is_mutable,
            [("shared/Smtp/Counter.cs", "    public static int Count { get; set; }\n")], "Count", []),
        new(SourceRules.Tests_wait_for_what_is_meant,
            [("tests/Queue.Tests/StopTests.cs", "await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, Cancellation);")],
            "tests/Queue.Tests/StopTests.cs: 'Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System' waits for a time",
            [("tests/Queue.Tests/StopTests.cs", "await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, stop);\nawait Task.Delay(second, _time);\nawait Eventually.TrueAsync(IsDone, limit);"),
                ("tests/Testing/Servers/Eventually.cs", "await Task.Delay(pause, TimeProvider.System, cancellation);")]),
        new(SourceRules.Tests_wait_for_what_is_meant,
            [("tests/Queue.Tests/StopTests.cs", "Thread.Sleep(1000);")], "'Thread.Sleep(' waits for a time", []),
        new(SourceRules.Who_may_sleep_does,
            [("tests/Testing/Servers/Eventually.cs", "return condition();")], "tests/Testing/Servers/Eventually.cs waits for no time",
            [("tests/Testing/Servers/Eventually.cs", "await Task.Delay(pause, TimeProvider.System, cancellation);")]),
        new(SourceRules.The_clock_is_banned_in_every_project,
            [("Directory.Build.props", "<TreatWarningsAsErrors>true</TreatWarningsAsErrors>")], "does not ban",
            [("Directory.Build.props", "<TreatWarningsAsErrors>true</TreatWarningsAsErrors> BannedSymbols.txt Microsoft.CodeAnalysis.BannedApiAnalyzers")]),

        new(DocumentationRules.Every_service_has_a_README_with_the_five_headings,
            [Queue], "services/Queue/README.md is missing", [Queue, ("services/Queue/README.md", FiveHeadings)]),
        new(DocumentationRules.Every_service_has_a_README_with_the_five_headings,
            [Queue, ("services/Queue/README.md", FiveHeadings.Replace("## Promises", "## Hopes", StringComparison.Ordinal))],
            "has no heading '## Promises'", [Queue, ("services/Queue/README.md", FiveHeadings)]),
        new(DocumentationRules.Every_room_says_who_may_call_it,
            [Smtp, ("shared/Smtp/Reply.cs", ""), ("shared/Smtp/README.md", "# Smtp\n")], "shared/Smtp: no README says who may call it",
            [Smtp, ("shared/Smtp/Reply.cs", ""), ("shared/Smtp/README.md", "# Smtp\n\n## Who may call it\n")]),
        new(DocumentationRules.Every_room_says_who_may_call_it,
            [Queue, ("services/Queue/Sites/Site.cs", ""), ("services/Queue/README.md", "| room | who may call it |\n| --- | --- |\n| `Domains` | all |\n")],
            "services/Queue/Sites: no README says who may call it",
            [Queue, ("services/Queue/Sites/Site.cs", ""), ("services/Queue/README.md", "| room | who may call it |\n| --- | --- |\n| [`Sites`](Sites) | all |\n"),
                ("services/Queue/TickLoop.cs", "")]),
        new(DocumentationRules.Every_room_says_who_may_call_it,
            [Queue, ("services/Queue/Sites/Site.cs", ""), ("services/Queue/Sites/README.md", "Sites.\n")], "services/Queue/Sites: no README",
            [Queue, ("services/Queue/Sites/Site.cs", ""), ("services/Queue/Sites/README.md", "- **Who may call it:** `Domains`.\n")]),
        new(DocumentationRules.Every_setting_is_documented,
            [Queue, Options, ("services/Queue/README.md", "MaxAge is explained, MaxAge without being marked as a setting")], "MaxAge is in no README",
            [Queue, Options, ("services/Queue/README.md", "| `Queue:MaxAge` | 5 days |")]),
        new(DocumentationRules.Decisions_have_three_parts,
            [("docs/adr/0001-x.md", "# X\n## Context\n## Decision\n")], "## Consequences",
            [("docs/adr/0001-x.md", "# X\n## Context\n## Decision\n## Consequences\n"), ("docs/adr/README.md", "")]),
        new(DocumentationRules.Text_speaks_of_the_project_alone,
            [("services/Queue/Retry.cs", "// as DESIGN.md says")], "speaks of 'DESIGN.md'",
            [("services/Queue/Retry.cs", "// a network/home/page, an issue of 2 parts, docs/RFC.md")]),
        new(DocumentationRules.Text_speaks_of_the_project_alone,
            [("tests/run.sh", "cd /work/main")], "tests/run.sh speaks of '/work/'", []),
        new(DocumentationRules.Text_speaks_of_the_project_alone,
            [("docs/a.md", "see issue 12")], "issue 12", []),
        new(DocumentationRules.Every_result_of_a_command_is_documented,
            [("services/Commands/DirectoryReply.cs", "        DomainMoved => \"domainMoved\","), ("services/Commands/README.md", "| `domainAdded` | |")], "`domainMoved` is not in",
            [("services/Commands/DirectoryReply.cs", "        DomainAdded => \"domainAdded\","), ("services/Commands/README.md", "| `domainAdded` | |")]),
        new(DocumentationRules.Links_lead_somewhere,
            [("docs/a.md", "[b](../shared/b.md)")], "docs/a.md links to ../shared/b.md",
            [("docs/a.md", "[b](b.md#top) [c](https://example.org/) [d](../shared/)"), ("docs/b.md", ""), ("shared/x.md", "")]),
    ];

    private const string Immutable = """
            private const int Count = 1;
            private static readonly int s_count = 1;
            public static int Twice => 2 * Count;
            private static int Add(int a) => a + 1;
            public static Counter Empty { get; } = new();
            internal static async Task RunAsync(int count = 0)
            private static partial Regex Pattern();
            static readonly string[] Names = [];
            internal static bool IsLow(int a, int b = 5)
            public static Outcome Find(Reply reply, bool again = false) => (reply.Code, again) switch
            public static bool operator ==(Counter a, Counter b) => true;
            internal static Dictionary<string, int> Empty => [];

        """;

    private const string FiveHeadings =
        "# Queue\n\n## Does\n\n## Promises\n\n## Messages in and out\n\n## Configuration\n\n## RFC coverage and deviations\n";

    private static (string, string) Options =>
        ("services/Queue/QueueOptions.cs", "public sealed class QueueOptions\n{\n    public TimeSpan MaxAge { get; set; } = TimeSpan.FromDays(5);\n    internal int Other { get; set; }\n}\n");

    private static string References(string path) =>
        $"<Project Sdk=\"Microsoft.NET.Sdk\"><ItemGroup><ProjectReference Include=\"{path}\" /></ItemGroup></Project>";

    private static string Packages(string name) =>
        $"<Project Sdk=\"Microsoft.NET.Sdk\"><ItemGroup><PackageReference Include=\"{name}\" /></ItemGroup></Project>";

    private static string Listed(string path) => $"Project(\"{{X}}\") = \"Name\", \"{path}\", \"{{0A}}\"\nEndProject";
}
